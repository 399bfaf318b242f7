/// `rpc.discover()`: the OpenRPC document (OpenRPC's service discovery method).
public enum DiscoverMethod: RPCMethod {
    public typealias Parameters = NoParameters
    public typealias Result = OpenRPCDocument

    public static let name = "rpc.discover"
    public static let summary = "Returns the OpenRPC document of this daemon."
    public static let description = "The same bytes as `proto-docs/openrpc.json`."
    public static let permission = Permission.read
    public static let parameters: ParameterTable = []
    public static let result = Schema.object("an OpenRPC document")
    public static let errors: [ErrorCode] = [.permissionDenied, .limitExceeded]
}
