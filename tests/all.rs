mod parts;
mod report;
