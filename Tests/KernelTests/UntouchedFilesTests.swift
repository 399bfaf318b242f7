import Glibc
import JSONRPC
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// To open a file can have effects, and to look into a file system that another program serves can take for ever: neither is
    /// done for a name that a client made up.
    @Suite struct UntouchedFilesTests {
        /// inotify(7) reports everyone who opens a file; to hold a handle (O_PATH) is not to open it.
        private final class Watch {
            private let descriptor = inotify_init1(CInt(IN_NONBLOCK) | CInt(IN_CLOEXEC))

            init(_ paths: [String]) throws {
                for path in paths {
                    try #require(unsafe inotify_add_watch(descriptor, path, UInt32(IN_OPEN)) >= 0, "\(path)")
                }
            }

            deinit { close(descriptor) }

            /// Whether one of the files has been opened since this was asked last.
            var hasSeenAnything: Bool {
                var events = [UInt8](repeating: 0, count: 4096)
                return unsafe read(descriptor, &events, events.count) > 0
            }
        }

        @Test func nothingIsOpenedButANamespace() async throws {
            try await Rig.with { rig in
                let folder = rig.folder.path
                try await rig.sandbox.run(
                    [
                        "sh", "-euc",
                        "cd $1; touch plain; mkfifo fifo; mknod device c 1 3; mkdir sub; ln -s fifo link; ln -s device twice",
                        "make", folder,
                    ], in: .host)
                let files = ["plain", "fifo", "device", "sub"].map { "\(folder)/\($0)" } + [rig.socket]
                let watch = try Watch(files)
                for name in files + ["\(folder)/link", "\(folder)/twice", "\(folder)/plain/", "\(folder)/sub/"] {
                    let refusal: Refusal = name.hasSuffix("plain/") ? .notFound : .notANetns
                    #expect(try await rig.refusal("status", [.string(name)]) == refusal, "\(name)")
                    #expect(!watch.hasSeenAnything, "\(name)")
                }
                try await rig.sandbox.run(["cat", "\(folder)/plain"], in: .host)
                #expect(watch.hasSeenAnything)
            }
        }

        /// A file system in user space whose server never answers.
        private final class SilentServer {
            private let device: CInt

            private init(on point: String) throws {
                device = unsafe open("/dev/fuse", O_RDWR | O_NONBLOCK | O_CLOEXEC)
                try #require(device >= 0, "/dev/fuse cannot be opened: is the module fuse loaded?")
                let options = "fd=\(device),rootmode=40000,user_id=0,group_id=0,allow_other"
                try #require(unsafe mount("kmesh-test", point, "fuse", 0, options) == 0)
            }

            /// A client that waits for an answer gets an error then.
            deinit { close(device) }

            static func with(_ point: String, _ body: (SilentServer) async throws -> Void) async throws {
                let server = try SilentServer(on: point)
                try await scoped {
                    try await body(server)
                } cleanUp: {
                    unsafe umount2(point, CInt(MNT_DETACH))
                }
            }

            /// Reads what it has been asked: the numbers of the operations (`enum fuse_opcode`).
            func questions() -> [UInt32] {
                var questions: [UInt32] = []
                var buffer = [UInt32](repeating: 0, count: 1 << 15)
                while unsafe read(device, &buffer, buffer.count * 4) > 0 { questions.append(buffer[1]) }
                return questions
            }
        }

        @Test func aMountInAPrivateFolderIsHiddenFromOthersThanRoot() async throws {
            try await Rig.withoutDaemon { rig in
                try await rig.withUsers(operators: ["operator"]) { users in
                    let user = try #require(users["operator"])
                    try await rig.start()
                    try await rig.openSocket()
                    let folder = rig.folder.path + "/private"
                    try await rig.sandbox.run(["mkdir", "--mode=700", folder], in: .host)
                    try await rig.sandbox.run(["mkdir", folder + "/served"], in: .host)
                    try await SilentServer.with(folder + "/served") { _ in
                        for name in ["served", "served/web", "none", "none/web"] {
                            let line = #"{"jsonrpc":"2.0","id":1,"method":"status","params":["\#(folder)/\#(name)"]}"#
                            let answer = try #require(try await rig.lines(as: user, [line]).first)
                            guard case .failure(let error) = try Response(answer).outcome else {
                                Issue.record("\(name): \(answer)")
                                continue
                            }
                            #expect(Refusal(error) == Refusal(code: -32001, kind: "permission-denied"), "\(name)")
                        }
                    }
                }
            }
        }

        @Test func whoServesAFileSystemIsNotAsked() async throws {
            try await Rig.with { rig in
                let folder = rig.folder.path
                let point = folder + "/served"
                try await rig.sandbox.run(["mkdir", point], in: .host)
                try await rig.sandbox.run(["ln", "-s", point + "/web", folder + "/link"], in: .host)
                try await SilentServer.with(point) { server in
                    // FUSE_INIT, by the kernel itself.
                    #expect(server.questions() == [26])
                    for name in [point, point + "/", point + "/web", point + "/a/b/c", folder + "/link"] {
                        // A question would not be answered, and the call neither.
                        #expect(try await rig.refusal("status", [.string(name)]) == .notANetns, "\(name)")
                    }
                    #expect(server.questions() == [])
                    let message = try await rig.message("status", [.string(point + "/web")]) ?? ""
                    #expect(message.hasPrefix("\(point) is served from outside the kernel (fuse)"), "\(message)")
                }
            }
        }
    }
}
