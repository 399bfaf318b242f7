import Testing

/// The built controller against everything that it has to do with: a real daemon and real traffic, and an API server that
/// others could not tell from a real one by what it asks.
@Suite(.serialized) enum ControllerTests {}
