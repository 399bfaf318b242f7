/// An object that has pods by a selector: a Deployment, StatefulSet, DaemonSet, ReplicaSet or Job.
package struct WorkloadObject: KubernetesObject, Hashable {
    package var metadata: ObjectMeta
    package var spec: Spec

    package struct Spec: Decodable, Hashable, Sendable {
        package var selector: LabelSelector?
    }
}

/// The labels of the objects that belong to another one (`LabelSelector` of meta/v1).
package struct LabelSelector: Decodable, Hashable, Sendable {
    package var matchLabels: [String: String]?
    package var matchExpressions: [Expression]?

    package struct Expression: Decodable, Hashable, Sendable {
        package var key: String
        package var `operator`: String
        package var values: [String]?
    }

    /// As a query takes it; nil if it selects everything, or has an operator that is not known.
    package var text: String? {
        let equal = (matchLabels ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        var parts = equal
        for expression in matchExpressions ?? [] {
            let values = "(\((expression.values ?? []).joined(separator: ",")))"
            switch expression.operator {
            case "In": parts.append("\(expression.key) in \(values)")
            case "NotIn": parts.append("\(expression.key) notin \(values)")
            case "Exists": parts.append(expression.key)
            case "DoesNotExist": parts.append("!\(expression.key)")
            default: return nil
            }
        }
        return parts.isEmpty ? nil : parts.joined(separator: ",")
    }
}
