import Bytes
import TestValues
import Testing

@testable import Bytes

@Suite struct ByteBufferTests {
  @Test(arguments: [
    (0, "0"), (7, "7"), (-12, "-12"), (99_999_999, "99999999"), (100_000_000, "100000000"),
    (20_000_000_300, "20000000300"),
    (.max, "9223372036854775807"), (.min, "-9223372036854775808"),
  ])
  func `writes a number as decimal text`(value: Int, text: String) {
    let buffer = ByteBuffer(capacity: 1)
    buffer.append(decimal: value)
    #expect(buffer.text == text)
  }

  @Test func `writes every number of up to five digits, and those around each power of ten`() {
    let powers = (5...18).map { (0..<$0).reduce(1) { power, _ in power * 10 } }
    let buffer = ByteBuffer(capacity: 1)
    for value in Array(0..<100_000) + powers.flatMap({ [$0 - 1, $0, $0 + 1, $0 * 3 + 7] }) {
      buffer.removeAll()
      buffer.append(decimal: value)
      guard buffer.text != "\(value)" else { continue }
      Issue.record("\(value) became \(buffer.text)")
      return
    }
  }

  @Test(arguments: [
    (0, "0.000"), (7, "0.007"), (1_000, "1.000"), (12_345, "12.345"), (-1_010, "-1.010"), (-7, "-0.007"),
    (123_456, "123.456"), (9_999_999, "9999.999"), (10_000_000, "10000.000"), (12_345_678_901, "12345678.901"),
    (.max, "9223372036854775.807"), (.min, "-9223372036854775.808"),
  ])
  func `writes thousandths`(value: Int, text: String) {
    let buffer = ByteBuffer(capacity: 1)
    buffer.write(atMost: ByteWriter.thousandthsBytesMax) { $0.append(thousandths: value) }
    #expect(buffer.text == text)
  }

  @Test(arguments: 0...140) func `appends runs of every length`(count: Int) {
    // Also valid UTF-8, for `append(text:)`.
    let run = (0..<count).map { UInt8($0 % 0x7F + 1) }
    let buffer = ByteBuffer(capacity: 1)
    buffer.append(UInt8(0xFF))
    buffer.append(run)
    buffer.append(run.span, 0..<count)
    buffer.append(text: String(decoding: run, as: UTF8.self))
    #expect(buffer.withBytes { bytes in bytes.indices.map { bytes[$0] } } == [0xFF] + run + run + run)
  }

  @Test(arguments: 0...140) func `appends a range of a longer run at any position`(count: Int) {
    for behind in [0, 1, 31, 32, 33] {
      let bytes = (0..<count + behind + 1).map { UInt8(truncatingIfNeeded: $0) }
      let range = 1..<1 + count
      for capacity in [count, count + 31, count + 32] {
        let buffers = (0..<2).map { _ in ByteBuffer(capacity: max(1, capacity)) }
        buffers[0].append(bytes.span, range)
        buffers[1].write(atMost: count) { $0.append(bytes.span, range) }
        for buffer in buffers {
          #expect(buffer.withBytes { bytes in bytes.indices.map { bytes[$0] } } == Array(bytes[range]))
          #expect(buffer.capacity == max(1, capacity))
        }
      }
    }
  }

  @Test(arguments: 0..<50) func `escapes every byte that JSON or UTF-8 requires, at any position`(count: Int) {
    for odd in (0...0xFF).map({ UInt8($0) }) {
      let isQuoted = odd == 0x22 || odd == 0x5C
      let isPlain = (0x20..<0x7F).contains(odd) && !isQuoted
      let hex = String(odd, radix: 16)
      let escape = isQuoted ? [0x5C, odd] : Array(#"\u00\#(odd < 16 ? "0" : "")\#(hex)"#.utf8)
      for place in 0..<count {
        let text = (0..<count).map { UInt8(0x61 + $0 % 26) }
        let expected = text[..<place] + (isPlain ? [odd] : escape) + text[(place + 1)...]
        let buffer = ByteBuffer(capacity: 1)
        let written = text[..<place] + [odd] + text[(place + 1)...]
        buffer.write(atMost: ByteWriter.jsonBytesMax(count)) { $0.append(json: written.span) }
        let result = buffer.withBytes { bytes in bytes.indices.map { bytes[$0] } }
        guard result != [0x22] + expected + [0x22] else { continue }
        Issue.record("byte \(odd) at \(place) of \(count): \(buffer.text)")
        return
      }
    }
  }

  @Test(arguments: 0...40, [UInt8(0), 0x22, 0x80, 0xFF])
  func `a text that consists of escapes fits`(count: Int, byte: UInt8) {
    let text = [UInt8](repeating: byte, count: count)
    let buffer = ByteBuffer(capacity: ByteWriter.jsonBytesMax(count))
    buffer.write(atMost: ByteWriter.jsonBytesMax(count)) { $0.append(json: text.span) }
    #expect(buffer.count == 2 + count * (byte == 0x22 ? 2 : 6))
    #expect(buffer.capacity == ByteWriter.jsonBytesMax(count))
  }

  @Test func `an empty text appends no member`() {
    let buffer = ByteBuffer(capacity: 1)
    buffer.write(atMost: 40) { out in
      out.append(#"{"a":""#, json: "b".utf8.span)
      out.append(#","c":""#, json: Span())
      out.append("}")
    }
    #expect(buffer.text == #"{"a":"b"}"#)
  }

  @Test func `writing beyond the reserved capacity traps`() async {
    await #expect(processExitsWith: .failure) {
      let buffer = ByteBuffer(capacity: 8)
      buffer.write(atMost: 8) { $0.append("123456789") }
    }
    await #expect(processExitsWith: .failure) {
      let buffer = ByteBuffer(capacity: 8)
      buffer.write(atMost: 8) { out in (0..<9).forEach { out.append($0) } }
    }
    await #expect(processExitsWith: .failure) {
      let buffer = ByteBuffer(capacity: 8)
      buffer.write(atMost: 8) { $0.append(decimal: 10) }
    }
    await #expect(processExitsWith: .failure) {
      let buffer = ByteBuffer(capacity: 8)
      buffer.write(atMost: 8) { $0.append(words: [1, 2], bytes: 1) }
    }
    await #expect(processExitsWith: .failure) {
      let buffer = ByteBuffer(capacity: 8)
      buffer.write(atMost: 8) { $0.append(json: [1, 2, 3].span) }
    }
  }

  @Test(arguments: [
    (UInt64(0), 1, "0"), (0, 4, "0000"), (0xABC, 8, "00000abc"), (0x0123_4567_89ab_cdef, 16, "0123456789abcdef"),
    (.max, 16, "ffffffffffffffff"), (0xABC, 2, "bc"),
  ])
  func `writes hexadecimal digits`(value: UInt64, digits: Int, text: String) {
    let buffer = ByteBuffer(capacity: 1)
    buffer.append(hex: value, digits: digits)
    #expect(buffer.text == text)
  }

  @Test(arguments: [(UInt64(0), "0"), (9, "9"), (10, "a"), (0xABC, "abc"), (0x10, "10"), (.max, "ffffffffffffffff")])
  func `writes a number as hexadecimal text`(value: UInt64, text: String) {
    let buffer = ByteBuffer(capacity: 1)
    buffer.append(hex: value)
    #expect(buffer.text == text)
  }

  @Test(arguments: [
    (UInt64(7), 1, "7"), (7, 3, "007"), (1_234, 3, "234"), (12_345_678, 8, "12345678"), (.max, 2, "15"),
  ])
  func `writes decimal digits`(value: UInt64, digits: Int, text: String) {
    let buffer = ByteBuffer(capacity: 1)
    buffer.append("x")
    buffer.write(atMost: 8) { $0.append(digits: value, count: digits) }
    #expect(buffer.text == "x" + text)
  }

  @Test func `moves all bytes to an array`() {
    let buffer = ByteBuffer(capacity: 1)
    buffer.append("bc")
    var bytes = [UInt8(ascii: "a")]
    buffer.move(to: &bytes)
    #expect(bytes == Array("abc".utf8) && buffer.isEmpty)
  }

  @Test func `has the same bytes as an array after the same changes`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededGenerator(state: seed)
    let buffer = ByteBuffer(capacity: 3)
    var model: [UInt8] = []
    for _ in 0..<4_000 {
      switch Int.random(in: 0..<6, using: &random) {
      case 0:
        buffer.append(UInt8(ascii: "x"))
        model.append(UInt8(ascii: "x"))
      case 1:
        let more = (0..<Int.random(in: 0..<40, using: &random)).map { UInt8(truncatingIfNeeded: $0) }
        buffer.append(more)
        model += more
      case 2:
        let lower = Int.random(in: 0...model.count, using: &random)
        let upper = Int.random(in: lower...model.count, using: &random)
        buffer.remove(lower..<upper)
        model.removeSubrange(lower..<upper)
      case 3:
        buffer.append(text: "größer")
        model += Array("größer".utf8)
      case 4 where model.count > 200:
        buffer.removeAll()
        model = []
      default: buffer.grow(to: buffer.capacity + 1)
      }
      #expect(buffer.count == model.count && buffer.capacity >= buffer.count, "seed \(seed)")
    }
    #expect(model.indices.allSatisfy { buffer[$0] == model[$0] }, "seed \(seed)")
  }

  @Test func `a pool keeps a bounded number of free blocks, and none that has grown`() {
    let pool = BufferPool(capacity: 8, keptMax: 1, largeCapacity: 32, largeKeptMax: 1)
    let buffers = (0..<3).map { _ in ByteBuffer(from: pool) }
    #expect(buffers[0].capacity == 0 && buffers[0].isEmpty)
    for buffer in buffers { buffer.append(1) }
    #expect(buffers.allSatisfy { $0.capacity == 8 && $0.count == 1 })
    // A buffer that has grown has already returned its ordinary block.
    buffers[1].reserve(9)
    #expect(pool.unusedCount == 1)
    for buffer in buffers { buffer.releaseStorage() }
    #expect(pool.unusedCount == 1 && buffers.allSatisfy { $0.capacity == 0 && $0.isEmpty })
    buffers[0].append(2)
    #expect(pool.unusedCount == 0 && buffers[0][0] == 2)
  }

  @Test func `a buffer takes a large block once, and its pool keeps a bounded number of large blocks`() {
    let pool = BufferPool(capacity: 8, keptMax: 4, largeCapacity: 32, largeKeptMax: 1)
    let buffers = (0..<2).map { _ in ByteBuffer(from: pool) }
    for buffer in buffers {
      buffer.append(1)
      buffer.takeLargeStorage()
      #expect(buffer.capacity == 32 && buffer.isEmpty)
      buffer.append(2)
      buffer.takeLargeStorage()
      #expect(buffer.count == 1)
    }
    #expect(pool.unusedCount == 1, "the one ordinary block, used twice")
    for buffer in buffers { buffer.releaseStorage() }
    #expect(pool.unusedCount == 2)
  }

  @Test func `a pool deallocates its free blocks, and allocates new ones`() {
    let pool = BufferPool(capacity: 8, keptMax: 4, largeCapacity: 32, largeKeptMax: 1)
    let buffers = (0..<3).map { _ in ByteBuffer(from: pool) }
    for buffer in buffers { buffer.append(1) }
    buffers[0].takeLargeStorage()
    for buffer in buffers.prefix(2) { buffer.releaseStorage() }
    #expect(pool.unusedCount == 3)
    pool.removeUnused()
    #expect(pool.unusedCount == 0)
    #expect(buffers[2][0] == 1)
    for buffer in buffers { buffer.append(2) }
    for buffer in buffers { buffer.releaseStorage() }
    #expect(pool.unusedCount == 3)
  }

  @Test func `a freed buffer returns its block`() {
    let pool = BufferPool(capacity: 8, keptMax: 1, largeCapacity: 32, largeKeptMax: 1)
    do {
      let buffer = ByteBuffer(from: pool)
      buffer.append(1)
    }
    #expect(pool.unusedCount == 1)
  }
}
