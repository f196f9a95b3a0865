import Digests
import Testing

@testable import Telemetry

@Suite struct AuditVerifierTests {
  static let keys: [[UInt8]?] = [nil, Array("a key of the tests".utf8)]

  /// Two processes one after the other, the first killed, the second ended in order.
  private static func log(_ chain: AuditChain) -> [[UInt8]] {
    var lines: [[UInt8]] = []
    var first = AuditLine(chain, writer: 0xAAAA_0000_0000_0001)
    var second = AuditLine(chain, writer: 0xBBBB_0000_0000_0002)
    lines.append(start(&first, .process, after: nil))
    for index in 0..<3 { lines += pair(&first, index) }
    lines.append(start(&second, .process, after: first.head))
    for index in 3..<5 { lines += pair(&second, index) }
    var out: [UInt8] = []
    second.append(.end, [UInt8]().span, at: 9_000_000, to: &out)
    return lines + [out]
  }

  private static func start(_ line: inout AuditLine, _ reason: AuditLine.Reason, after head: AuditHead?) -> [UInt8] {
    var out: [UInt8] = []
    line.appendStart(reason, after: head, lostOutcomes: 0, at: 1_000_000, to: &out)
    return out
  }

  private static func pair(_ line: inout AuditLine, _ index: Int) -> [[UInt8]] {
    let request = #","request_id":"\#(String(repeating: "0", count: 31))\#(index)""#
    var (intent, outcome): ([UInt8], [UInt8]) = ([], [])
    line.append(.intent, Array(#"\#(request),"path":"/x""#.utf8).span, at: 2_000_000, to: &intent)
    line.append(.outcome, Array(#"\#(request),"outcome":"done""#.utf8).span, at: 3_000_000, to: &outcome)
    return [intent, outcome]
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
  func `accepts what a writer wrote, in one file or in two`(key: [UInt8]?) {
    let chain = AuditChain(key: key)
    let lines = Self.log(chain)
    for cut in 0...lines.count {
      let verifier = Self.verify([Array(lines[..<cut].joined()), Array(lines[cut...].joined())], chain)
      #expect(verifier.findings.isEmpty)
      #expect(verifier.entries == lines.count)
    }
  }

  @Test(arguments: keys)
  func `finds every byte that is changed`(key: [UInt8]?) {
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

  @Test func `finds every line that is dropped, but the last, which only a head shows`() throws {
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

  @Test func `finds every cut end of a writer that another one followed`() {
    let chain = AuditChain(key: Self.keys[1])
    let lines = Self.log(chain)
    for cut in 1...6 {
      let less = Array(lines[..<(7 - cut)] + lines[7...])
      #expect(!Self.verify([Array(less.joined())], chain).findings.isEmpty, "\(cut) lines")
    }
    // Without any of them, they may be in a file that was not given; behind another file they cannot be.
    let rest = Array(lines[7...].joined())
    #expect(Self.verify([rest], chain).notes.contains { if case .goesOn = $0.kind { true } else { false } })
    var other = AuditLine(chain, writer: 9)
    #expect(!Self.verify([Self.start(&other, .process, after: nil), rest], chain).findings.isEmpty)
  }

  @Test func `finds every line that is repeated anywhere`() {
    let chain = AuditChain(key: Self.keys[1])
    let lines = Self.log(chain)
    for index in lines.indices {
      for place in 0...lines.count {
        var more = lines
        more.insert(lines[index], at: place)
        #expect(!Self.verify([Array(more.joined())], chain).findings.isEmpty, "line \(index + 1) at \(place + 1)")
      }
    }
  }

  @Test func `finds two lines that have changed places, and names them`() {
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
    #expect(kinds.first == .outOfOrder(0xAAAA_0000_0000_0001, 3, standsAt: 4))
  }

  @Test func `names file, line and entry of what is wrong`() {
    let chain = AuditChain(key: Self.keys[1])
    var lines = Self.log(chain)
    lines.remove(at: 3)
    #expect(
      Self.verify([Array(lines.joined())], chain).findings.map(\.description) == [
        "0:4: entry aaaa000000000001:4 is missing before this one"
      ])
  }

  @Test func `finds a chain that was written anew without the key`() {
    let forged = Array(Self.log(AuditChain(key: nil)).joined())
    let findings = Self.verify([forged], AuditChain(key: Self.keys[1])).findings
    guard case .otherChain = findings.first?.kind else {
      Issue.record("\(findings)")
      return
    }
  }

  @Test func `takes a last line that broke off anywhere, with and without another process behind it`() {
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
      var whole: [UInt8] = []
      head.append(
        .intent, Array(#","request_id":"\#(String(repeating: "0", count: 31))2","path":"/x""#.utf8).span, at: 2_000_000,
        to: &whole)
      #expect(whole == lines[5])
      let start = Self.start(&next, .process, after: head.head)
      #expect(Self.verify([broken + [UInt8(ascii: "\n")] + start], chain).findings.isEmpty, "start after \(cut)")
      // A process that was there already does not know of the broken line.
      #expect(Self.verify([broken + start], chain).findings.isEmpty, "glued after \(cut)")
    }
  }

  @Test func `goes on over a rotation, and shows where a file alone begins`() {
    let chain = AuditChain(key: Self.keys[1])
    var line = AuditLine(chain, writer: 7)
    let old = Self.start(&line, .process, after: nil) + Self.pair(&line, 1).joined()
    let new = Self.start(&line, .rotation, after: line.head) + Self.pair(&line, 2).joined()
    #expect(Self.verify([old, new], chain).findings.isEmpty)
    let alone = Self.verify([new], chain)
    #expect(alone.findings.isEmpty)
    #expect(alone.notes.contains { if case .goesOn = $0.kind { true } else { false } })
    let cut = Array(old.dropLast(300))
    #expect(!Self.verify([cut, new], chain).findings.isEmpty)
  }

  @Test func `a line's hash is what openssl gives`() throws {
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
