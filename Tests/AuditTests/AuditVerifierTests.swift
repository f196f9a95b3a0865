import Bytes
import Digests
import TestValues
import Testing

@testable import Audit

@Suite struct AuditVerifierTests {
  static let keys: [[UInt8]?] = [nil, Array("a key of the tests".utf8)]

  /// The entries of two consecutive processes: the first was killed, the second ended normally.
  private static func log(_ chain: AuditChain) -> [[UInt8]] {
    var lines: [[UInt8]] = []
    var first = AuditLine(chain, writer: 0xAAAA_0000_0000_0001)
    var second = AuditLine(chain, writer: 0xBBBB_0000_0000_0002)
    lines.append(start(&first, .process, after: nil))
    for index in 0..<3 { lines += pair(&first, index) }
    lines.append(start(&second, .process, after: first.head))
    for index in 3..<5 { lines += pair(&second, index) }
    let out = ByteBuffer(capacity: 256)
    second.append(.end, [UInt8]().span, at: 9_000_000, to: out)
    return lines + [out.bytes]
  }

  private static func start(_ line: inout AuditLine, _ reason: AuditReason, after head: AuditHead?) -> [UInt8] {
    let out = ByteBuffer(capacity: 256)
    line.appendStart(reason, after: head, lostOutcomes: 0, at: 1_000_000, to: out)
    return out.bytes
  }

  private static func pair(_ line: inout AuditLine, _ index: Int) -> [[UInt8]] {
    let request = #","request_id":"\#(String(repeating: "0", count: 31))\#(index)""#
    let (intent, outcome) = (ByteBuffer(capacity: 256), ByteBuffer(capacity: 256))
    line.append(.intent, Array(#"\#(request),"path":"/x""#.utf8).span, at: 2_000_000, to: intent)
    line.append(.outcome, Array(#"\#(request),"outcome":"done""#.utf8).span, at: 3_000_000, to: outcome)
    return [intent.bytes, outcome.bytes]
  }

  private static func verify(
    _ files: [[UInt8]], _ chain: AuditChain, expecting expected: Digest? = nil
  ) -> AuditVerifier {
    var verifier = AuditVerifier(chain, expecting: expected)
    for (number, file) in files.enumerated() {
      verifier.begin(file: "\(number)")
      var rest = file[...]
      while !rest.isEmpty {
        let end = rest.firstIndex(of: UInt8(ascii: "\n"))
        verifier.read(Array(rest[..<(end ?? rest.endIndex)]).span, isWhole: end != nil)
        rest = end.map { rest[($0 + 1)...] } ?? []
      }
    }
    verifier.end()
    return verifier
  }

  @Test(arguments: keys)
  func `accepts the entries of a writer, in one file or in two`(key: [UInt8]?) {
    let chain = AuditChain(key: key)
    let lines = Self.log(chain)
    for cut in 0...lines.count {
      let verifier = Self.verify([Array(lines[..<cut].joined()), Array(lines[cut...].joined())], chain)
      #expect(verifier.findings.isEmpty)
      #expect(verifier.entries == lines.count)
    }
  }

  @Test(arguments: keys)
  func `finds every changed byte`(key: [UInt8]?) {
    let chain = AuditChain(key: key)
    let bytes = Array(Self.log(chain).joined())
    for index in bytes.indices {
      let change = [0x01, 0x20, 0x80, bytes[index] ^ UInt8(ascii: "\n")][index % 4]
      guard change != 0 else { continue }
      var changed = bytes
      changed[index] ^= change
      #expect(!Self.verify([changed], chain).findings.isEmpty, "byte \(index) xor \(change)")
    }
  }

  @Test func `finds every dropped line, except the last, which only a head shows`() throws {
    let chain = AuditChain(key: Self.keys[1])
    let lines = Self.log(chain)
    let head = try #require(Self.verify([Array(lines.joined())], chain).head)
    for index in lines.indices {
      var less = lines
      less.remove(at: index)
      let found = !Self.verify([Array(less.joined())], chain).findings.isEmpty
      #expect(found == (index < lines.count - 1), "line \(index + 1)")
      #expect(!Self.verify([Array(less.joined())], chain, expecting: head.hash).findings.isEmpty)
    }
    #expect(Self.verify([Array(lines.joined())], chain, expecting: head.hash).findings.isEmpty)
  }

  @Test func `finds a truncated writer if another one follows`() {
    let chain = AuditChain(key: Self.keys[1])
    let lines = Self.log(chain)
    for cut in 1...6 {
      let less = Array(lines[..<(7 - cut)] + lines[7...])
      #expect(!Self.verify([Array(less.joined())], chain).findings.isEmpty, "\(cut) lines")
    }
    // If all are missing, they may be in a file that was not given, but not after another file.
    let rest = Array(lines[7...].joined())
    #expect(Self.verify([rest], chain).notes.contains { if case .continues = $0.kind { true } else { false } })
    var other = AuditLine(chain, writer: 9)
    #expect(!Self.verify([Self.start(&other, .process, after: nil), rest], chain).findings.isEmpty)
  }

  @Test func `finds a repeated line anywhere`() {
    let chain = AuditChain(key: Self.keys[1])
    let lines = Self.log(chain)
    for index in lines.indices {
      for position in 0...lines.count {
        var more = lines
        more.insert(lines[index], at: position)
        #expect(!Self.verify([Array(more.joined())], chain).findings.isEmpty, "line \(index + 1) at \(position + 1)")
      }
    }
  }

  @Test func `finds two swapped lines, and reports them as reordered`() {
    let chain = AuditChain(key: Self.keys[1])
    let lines = Self.log(chain)
    for index in 0..<lines.count - 1 {
      var other = lines
      other.swapAt(index, index + 1)
      #expect(!Self.verify([Array(other.joined())], chain).findings.isEmpty, "line \(index + 1)")
    }
    var other = lines
    other.swapAt(2, 3)
    let kinds = Self.verify([Array(other.joined())], chain).findings.map(\.kind)
    #expect(kinds.first == .outOfOrder(0xAAAA_0000_0000_0001, 3, line: 4))
  }

  @Test func `reports file, line and entry`() {
    let chain = AuditChain(key: Self.keys[1])
    var lines = Self.log(chain)
    lines.remove(at: 3)
    #expect(
      Self.verify([Array(lines.joined())], chain).findings.map(\.description) == [
        "0:4: entry aaaa000000000001:4 is missing before this one"
      ])
  }

  @Test func `finds a chain rewritten without the key`() {
    let forged = Array(Self.log(AuditChain(key: nil)).joined())
    let findings = Self.verify([forged], AuditChain(key: Self.keys[1])).findings
    guard case .keyMismatch = findings.first?.kind else {
      Issue.record("\(findings)")
      return
    }
  }

  @Test func `accepts an incomplete last line, whether or not another process appended to it`() {
    let chain = AuditChain(key: Self.keys[1])
    let lines = Self.log(chain)
    let torn = lines[6]
    for cut in 0..<torn.count - 1 {
      let broken = Array(lines[..<6].joined()) + torn[..<cut]
      #expect(Self.verify([broken], chain).findings.isEmpty, "cut at \(cut)")
      var next = AuditLine(chain, writer: 0xCCCC_0000_0000_0003)
      var head = AuditLine(chain, writer: 0xAAAA_0000_0000_0001)
      _ = Self.start(&head, .process, after: nil)
      for index in 0..<2 { _ = Self.pair(&head, index) }
      let whole = ByteBuffer(capacity: 256)
      head.append(
        .intent, Array(#","request_id":"\#(String(repeating: "0", count: 31))2","path":"/x""#.utf8).span, at: 2_000_000,
        to: whole)
      #expect(whole.bytes == lines[5])
      let start = Self.start(&next, .process, after: head.head)
      #expect(Self.verify([broken + [UInt8(ascii: "\n")] + start], chain).findings.isEmpty, "start after \(cut)")
      // A process that already had the file open does not notice the incomplete line.
      #expect(Self.verify([broken + start], chain).findings.isEmpty, "glued after \(cut)")
    }
  }

  @Test func `follows a chain over a rotation, and notes where a single file continues from`() {
    let chain = AuditChain(key: Self.keys[1])
    var line = AuditLine(chain, writer: 7)
    let old = Self.start(&line, .process, after: nil) + Self.pair(&line, 1).joined()
    let new = Self.start(&line, .rotation, after: line.head) + Self.pair(&line, 2).joined()
    #expect(Self.verify([old, new], chain).findings.isEmpty)
    let alone = Self.verify([new], chain)
    #expect(alone.findings.isEmpty)
    #expect(alone.notes.contains { if case .continues = $0.kind { true } else { false } })
    let cut = Array(old.dropLast(300))
    #expect(!Self.verify([cut, new], chain).findings.isEmpty)
  }

  /// Two gateways write to one log; only the file after the rotation is given.
  @Test func `the entries that several writers continue from may be in a file that was not given`() {
    let chain = AuditChain(key: Self.keys[1])
    var (one, two) = (AuditLine(chain, writer: 1), AuditLine(chain, writer: 2))
    _ = Self.start(&one, .process, after: nil)
    _ = Self.start(&two, .process, after: one.head)
    let lines =
      [Self.start(&one, .rotation, after: one.head)] + Self.pair(&one, 1)
      + [Self.start(&two, .rotation, after: two.head)] + Self.pair(&two, 2)
    let given = Array(lines.joined())
    let verifier = Self.verify([given], chain)
    #expect(verifier.findings.isEmpty)
    let notes = verifier.notes.filter { if case .continues = $0.kind { true } else { false } }
    #expect(notes.map(\.line) == [1, 4])
    // A file without entries does not count; after one with entries nothing may be missing.
    #expect(Self.verify([[], given], chain).findings.isEmpty)
    var third = AuditLine(chain, writer: 3)
    #expect(!Self.verify([Self.start(&third, .process, after: nil), given], chain).findings.isEmpty)
    // A process reads the file that it continues: the entry it follows must be there.
    var process = AuditLine(chain, writer: 4)
    let absent = AuditHead(writer: 9, sequence: 3, hash: AuditChain.origin)
    #expect(!Self.verify([given + Self.start(&process, .process, after: absent)], chain).findings.isEmpty)
  }

  @Test func `reports whether each writer is open, was killed or has ended, and its writes without outcome`() {
    let chain = AuditChain(key: nil)
    func kinds(_ lines: [[UInt8]]) -> [AuditFinding.Kind] {
      Self.verify([Array(lines.joined())], chain).notes.map(\.kind)
    }
    var (first, second, third) = (AuditLine(chain, writer: 1), AuditLine(chain, writer: 2), AuditLine(chain, writer: 3))
    var lines = [Self.start(&first, .process, after: nil)]
    let out = ByteBuffer(capacity: 256)
    let request = #","request_id":"\#(String(repeating: "0", count: 31))7","path":"/x""#
    first.append(.intent, Array(request.utf8).span, at: 2_000_000, to: out)
    lines.append(out.bytes)
    #expect(kinds(lines) == [.endMissing(1, 2, .open), .outcomeMissing(1, 1, .open)])
    // Another chain of the same process.
    let recovered = lines + [Self.start(&second, .recovery, after: first.head)]
    #expect(kinds(recovered) == [.endMissing(1, 2, .open), .endMissing(2, 1, .open), .outcomeMissing(1, 1, .open)])
    let restarted = recovered + [Self.start(&third, .process, after: second.head)]
    #expect(
      kinds(restarted)
        == [
          .endMissing(1, 2, .killed), .endMissing(2, 1, .killed), .endMissing(3, 1, .open),
          .outcomeMissing(1, 1, .killed),
        ])
    // The second writer shares the log with the third.
    let more = ByteBuffer(capacity: 256)
    second.append(.intent, Array(request.replacing("7\"", with: "8\"").utf8).span, at: 3_000_000, to: more)
    #expect(
      kinds(restarted + [more.bytes])
        == [
          .endMissing(1, 2, .open), .endMissing(2, 2, .open), .endMissing(3, 1, .open), .outcomeMissing(1, 1, .open),
          .outcomeMissing(2, 1, .open),
        ])
    let end = ByteBuffer(capacity: 256)
    second.append(.end, [UInt8]().span, at: 9_000_000, to: end)
    #expect(
      kinds(restarted + [more.bytes, end.bytes])
        == [
          .endMissing(1, 2, .ended), .endMissing(3, 1, .open), .outcomeMissing(1, 1, .ended),
          .outcomeMissing(2, 1, .ended),
        ])
  }

  @Test func `a line's hash is the one that openssl computes`() throws {
    // printf '%064d{"writer":"0000000000000001","seq":1,…,"lost_outcomes":0}' 0 | openssl dgst -sha256 -hmac key
    var line = AuditLine(AuditChain(key: Array("key".utf8)), writer: 1)
    let text = String(decoding: Self.start(&line, .process, after: nil), as: UTF8.self)
    #expect(
      text
        == #"{"writer":"0000000000000001","seq":1,"time":"1970-01-01T00:00:01.000000Z","kind":"start","#
        + #""reason":"process","chain":"hmac-sha256","previous":null,"lost_outcomes":0,"#
        + #""hash":"fcb848e17ff2c59604cd5b4ae9b4068b1365a29bbab844948ab484b330aa63d3"}"# + "\n")
  }
}
