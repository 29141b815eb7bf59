//! Takes the driver's link settings (entry point, subsystem, libraries of the kit)
//! from `wdk-build`. Host builds of the crate have nothing to configure.

#[cfg(feature = "kernel")]
fn main() -> Result<(), wdk_build::ConfigError> {
    wdk_build::configure_wdk_binary_build()
}

#[cfg(not(feature = "kernel"))]
fn main() {}
