//! CUDA devices. The driver library is looked for when it is asked about, so one binary serves machines with and without it.

use cudarc::driver::{CudaContext, sys};

/// A CUDA device.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    pub name: String,
    /// Major and minor compute capability.
    pub capability: (i32, i32),
    pub memory_bytes: u64,
}

/// Every CUDA device, or why none can be used.
pub fn devices() -> Result<Vec<Device>, String> {
    // SAFETY: the call only tries to open the driver library. Opening runs the library's initialisers, and the driver is
    // what the system has installed for that purpose.
    if !unsafe { sys::is_culib_present() } {
        return Err("the CUDA driver library (libcuda) is not installed".into());
    }
    let wrong = |what: &'static str| move |e: cudarc::driver::DriverError| format!("{what}: {e}");
    let count = CudaContext::device_count().map_err(wrong("the CUDA driver does not start"))?;
    let describe = |ordinal: usize| {
        let context = CudaContext::new(ordinal).map_err(wrong("a device cannot be opened"))?;
        Ok(Device {
            name: context.name().map_err(wrong("a device has no name"))?,
            capability: context.compute_capability().map_err(wrong("a device has no compute capability"))?,
            memory_bytes: context.total_mem().map_err(wrong("a device has no memory"))? as u64,
        })
    };
    let devices: Vec<Device> = (0..count as usize).map(describe).collect::<Result<_, String>>()?;
    if devices.is_empty() { Err("the CUDA driver is installed, and finds no device".into()) } else { Ok(devices) }
}
