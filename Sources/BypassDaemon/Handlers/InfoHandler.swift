internal import BypassAPI
internal import Datapath
internal import Linux

extension Engine {
    /// `info`: what is known without asking anybody.
    func info(startedAt: UInt64, kernel: String) -> InfoMethod.Result {
        InfoMethod.Result(
            kernel: kernel, uptimeSeconds: Int((BootClock.now - startedAt) / 1_000_000_000), bypassed: registry.count,
            matcher: .init(pin: matcher.pin, tag: matcher.tagText))
    }
}
