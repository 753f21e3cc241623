mod metrics;
mod parts;
mod report;
