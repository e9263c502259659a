//! The pipeline: observe, plan, execute, record.
