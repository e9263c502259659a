//! SSM and STS of the sandbox.
