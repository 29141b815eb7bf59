//! What only a kernel image has. Compiled for Windows targets alone.

im_core::kernel_image!(crate::topology::Lbfo, "lbfo");
