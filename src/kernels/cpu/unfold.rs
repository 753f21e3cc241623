//! Windows over images of one size: where their samples fall.

use crate::ops::window::Window;

/// A window over images of one size, and how often it fits, down and across.
#[derive(Clone, Copy, Debug)]
pub struct Sliding {
    pub window: Window,
    pub image: [usize; 2],
    pub positions: [usize; 2],
}

impl Sliding {
    pub fn new(window: Window, image: [usize; 2]) -> Self {
        Self { window, image, positions: window.output(image) }
    }

    pub fn taps(&self) -> usize {
        self.window.kernel[0] * self.window.kernel[1]
    }

    pub fn pixels(&self) -> usize {
        self.image[0] * self.image[1]
    }

    pub fn places(&self) -> usize {
        self.positions[0] * self.positions[1]
    }
}
