import StrictJSON
import Testing

@Suite struct JSONNumberTests {
    private func number(_ text: String) throws -> JSONNumber {
        guard case .number(let number) = try json(text) else { throw JSONReadError.malformed(reason: "", offset: 0) }
        return number
    }

    @Test func givesIntegersInRangeOnly() throws {
        #expect(Int(exactly: try number("-0")) == 0)
        #expect(UInt(exactly: try number("-0")) == 0)
        #expect(UInt8(exactly: try number("255")) == 255)
        #expect(UInt8(exactly: try number("256")) == nil)
        #expect(UInt8(exactly: try number("-1")) == nil)
        #expect(Int64(exactly: try number("9223372036854775807")) == .max)
        #expect(Int64(exactly: try number("-9223372036854775808")) == .min)
        #expect(Int64(exactly: try number("9223372036854775808")) == nil)
    }

    @Test(arguments: ["1.0", "1e0", "0.0", "10E-1", "-1.5"])
    func takesNoFractionOrExponentForAnInteger(_ text: String) throws {
        #expect(Int(exactly: try number(text)) == nil)
        #expect(try !number(text).isInteger)
    }

    @Test func givesFiniteDoublesOnly() throws {
        #expect(Double(nearest: try number("1.5e3")) == 1500)
        #expect(Double(nearest: try number("1e-400")) == 0)
        #expect(Double(nearest: try number("1e400")) == nil)
        #expect(JSONNumber(.nan) == nil)
        #expect(JSONNumber(-.infinity) == nil)
        #expect(JSONNumber(0.1)?.text == "0.1")
    }
}
