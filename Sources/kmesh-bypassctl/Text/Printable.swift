extension String {
    /// The text with all that a terminal would act on, or that would not be seen, shown as an escape.
    ///
    /// Owners, reasons and names are whatever somebody once sent to the daemon. Control characters would let that
    /// person write to the screen of whoever looks; marks of direction would let text pass for another.
    var printable: String {
        guard unicodeScalars.contains(where: \.needsEscape) else { return self }
        var result = ""
        for scalar in unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.needsEscape: result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

extension Unicode.Scalar {
    fileprivate var needsEscape: Bool {
        // The backslash too, so that what is shown can be told from an escape.
        if isASCII { return value < 0x20 || value == 0x7F || self == "\\" }
        switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned: return true
        default: return false
        }
    }
}
