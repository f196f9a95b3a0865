import Testing

@testable import Bytes

@Suite struct ByteArrayTests {
  @Test func `appends a copy of the bytes`() {
    var bytes: [UInt8] = [1]
    let more: [UInt8] = [2, 3, 4]
    bytes.append(copying: more.span)
    bytes.append(copying: more.span.extracting(1..<1))
    #expect(bytes == [1, 2, 3, 4])
  }
}
