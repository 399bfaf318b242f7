import Testing

/// The built controller against a real daemon and real traffic, and an API server that is a test's own but for the controller
/// like a real one.
@Suite(.serialized) enum ControllerTests {}
