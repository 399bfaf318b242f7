internal import CLinux

/// The terminal's display of a text.
package enum Terminal {
    /// The number of columns of a Unicode scalar: 2 for East Asian wide ones, 0 for combining ones.
    package static func columns(of scalar: Unicode.Scalar) -> Int { max(0, Int(clinux_columns(scalar.value))) }

    /// The width of a descriptor's terminal; nil if it is not on one, or the terminal does not say.
    package static func width(of descriptor: CInt) -> Int? {
        let columns = Int(clinux_terminal_columns(descriptor))
        return columns > 0 ? columns : nil
    }
}
