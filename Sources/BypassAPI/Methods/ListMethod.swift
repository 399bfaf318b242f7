public import StrictJSON

/// `list()`: every namespace that is bypassed.
public enum ListMethod: RPCMethod {
    public typealias Parameters = NoParameters

    public struct Result: Codable, JSONWritableObject, Hashable, Sendable {
        /// By inode.
        public var bypasses: [BypassStatus]
        /// `truncated` if these are not all; nil from a daemon that does not say.
        public var warnings: [BypassStatus.Warning]?

        /// Whether these are all; one that does not show may still be on.
        public var isComplete: Bool {
            !(warnings ?? []).contains { $0.code == BypassStatus.Warning.Code.truncated.rawValue }
        }

        public init(bypasses: [BypassStatus], warnings: [BypassStatus.Warning] = []) {
            self.bypasses = bypasses
            self.warnings = warnings
        }

        public func writeMembers(to text: inout JSONText) {
            Self.writeMembers(bypasses, warnings ?? [], to: &text)
        }

        /// - Parameter bypasses: an array of ``BypassStatus``, in whatever form it is kept.
        package static func writeMembers(
            _ bypasses: some JSONWritable, _ warnings: [BypassStatus.Warning], to text: inout JSONText
        ) {
            text.member("bypasses", bypasses)
            text.member("warnings", warnings)
        }
    }

    public static let name = "list"
    public static let summary = "Lists every bypassed network namespace, by inode."
    public static let description = "Each as `status` shows it, without the count of established connections."
    public static let permission = Permission.read
    public static let parameters: ParameterTable = []
    public static let result = Schema.component(
        "ListResult",
        .object(nil, [.init("bypasses", .array(of: BypassStatus.schema, "by inode")), .omittedBypasses]))
    public static let errors: [ErrorCode] = [.permissionDenied, .limitExceeded]
    public static var example: (parameters: Parameters, result: Result)? {
        (Parameters(), Result(bypasses: [.example]))
    }
}
