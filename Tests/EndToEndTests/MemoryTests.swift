import Foundation
import TestSupport
import Testing

/// Large bodies take constant memory, however slow either side is.
@Suite(.scopedFixtures, .serialized) struct MemoryTests {
  /// What 16 exchanges may add, with their buffers of 256 KiB for a large response (KiB).
  private static let growthMax = 16 * 512 + 4_096

  @Test func `16 lists of 16 MB to slow readers`() throws {
    let list = [UInt8](repeating: UInt8(ascii: "x"), count: 16 << 20)
    let core = try ScriptedUpstream { _ in
      .bytes(Array("HTTP/1.1 200 OK\r\nContent-Length: \(list.count)\r\n\r\n".utf8) + list)
    }
    let gateway = try GatewayProcess(TestPolicyFolder(instances: [("one", "http://127.0.0.1:\(core.port)")]))
    let before = try gateway.residentKibibytes()
    let readers = try (0..<16).map { _ in try TestSocket(port: gateway.port, receiveBuffer: 16_384) }
    for reader in readers { try reader.send(testRequest("GET", "/proxy/balances?instance_id=one")) }
    var most = before
    var counts = [Int](repeating: 0, count: readers.count)
    while counts.contains(where: { $0 < list.count }) {
      for (index, reader) in readers.enumerated() where counts[index] < list.count {
        counts[index] += try reader.receive(atMost: 1 << 20).count
      }
      most = max(most, try gateway.residentKibibytes())
    }
    print("16 answers of 16 MB at once: memory grew by \(most - before) KiB")
    #expect(most - before < Self.growthMax)
  }

  @Test func `an upload of 100 MB below a raised limit, to a slow Core`() throws {
    let core = try RawUpstream { socket in
      var count = 0
      while count < 100 << 20 {
        guard let bytes = try? socket.receive(atMost: 1 << 20), !bytes.isEmpty else { return }
        count += bytes.count
        // Slow from time to time.
        if count % 7 == 0 { Thread.sleep(forTimeInterval: 0.001) }
      }
      try? socket.send(ScriptedUpstream.json("{}"))
      _ = try? socket.receive()
    }
    let gateway = try GatewayProcess(
      TestPolicyFolder(
        instances: [("one", "http://127.0.0.1:\(core.port)")],
        gateway: ["limits": ["body_bytes": 200 << 20, "connections": 100, "upstream_connections": 10]]))
    let before = try gateway.residentKibibytes()
    let socket = try TestSocket(port: gateway.port)
    try socket.send(
      testRequest("POST", "/proxy/balances?instance_id=one", fields: ["Content-Length: \(100 << 20)"]))
    let piece = [UInt8](repeating: UInt8(ascii: "y"), count: 1 << 20)
    var most = before
    for _ in 0..<100 {
      try socket.send(piece)
      most = max(most, try gateway.residentKibibytes())
    }
    var reader = TestMessageReader(socket)
    #expect(try reader.next()?.status == 200)
    print("an upload of 100 MB: memory grew by \(most - before) KiB")
    // A few buffers and what malloc keeps; a buffered body would take 100 MB.
    #expect(most - before < 8_192)
  }
}
