internal import Bypass
internal import BypassAPI
internal import Datapath
internal import JSONRPC
internal import Linux
internal import Logging
internal import Synchronization

/// The files that the daemon needs: pins, record log and socket. They are restored if they were removed. A failure is
/// logged once, and shown in `systemctl status` while it lasts.
final class Surroundings: Sendable {
    private let manager: BypassManager
    private let socket: ServerSocket
    private let notifier: SystemdNotifier
    private let reported = Mutex<[String]>([])

    init(_ manager: BypassManager, _ socket: ServerSocket, notifier: SystemdNotifier) {
        self.manager = manager
        self.socket = socket
        self.notifier = notifier
    }

    func restore() {
        let faults = [restorePins(), restoreRecords(), restoreSocket()].compactMap(\.self)
        let new = reported.withLock { reported in
            defer { reported = faults }
            return faults.filter { !reported.contains($0) }
        }
        for fault in new { manager.logger.error("\(fault)") }
        notifier.setFault(faults.isEmpty ? nil : faults.joined(separator: "; "))
    }

    /// New rules need the pins, and so does every use of `iptables` in a namespace that has our rules.
    private func restorePins() -> String? {
        do throws(MatcherError) {
            if try manager.matcher.ensurePinned() {
                manager.logger.warning("a pin was missing and is restored", metadata: ["pin": "\(manager.matcher.pin)"])
            }
            return nil
        } catch {
            return "the pins cannot be restored: \(ErrorObject(BypassError(error)).message)"
        }
    }

    private func restoreRecords() -> String? {
        do throws(SystemCallError) {
            if try manager.store.ensureWritten() {
                manager.logger.warning("the record log was missing and is restored")
            }
            return nil
        } catch {
            return "owners and reasons of bypasses will be forgotten when the daemon restarts: \(error)"
        }
    }

    private func restoreSocket() -> String? {
        do throws(UnixSocketError) {
            if try socket.ensureInPlace() {
                manager.logger.warning("the socket was missing and is restored", metadata: ["socket": "\(socket.path)"])
            }
            return nil
        } catch {
            return "clients cannot connect: \(StartError(error))"
        }
    }
}
