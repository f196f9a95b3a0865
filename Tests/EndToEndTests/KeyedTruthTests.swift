import Foundation
import TestFolders
import TestSupport
import Testing

/// Answers to writes with idempotency keys that could lie: about what was executed, about what is stored, or to someone who
/// may not ask any more.
@Suite(.scopedFixtures) struct KeyedTruthTests {
  @Test func `a 401 of Core, which refuses the gateway's key, frees the key`() throws {
    let stage = try KeyedStage()
    // Longer than what is recognized while it is relayed.
    stage.answers("401 Unauthorized", #"{"error":"\#(String(repeating: "x", count: 3_000))"}"#)
    for _ in 0..<2 { #expect(try stage.write("a").verdict == "401") }
    stage.answers("201 Created")
    #expect(try stage.write("a").verdict == "201")
    #expect(stage.executions == 3)
  }

  @Test func `Core cannot mark its response as replayed`() throws {
    let stage = try KeyedStage()
    stage.answers { _ in
      let mark = "Idempotent-Replayed: true\r\nX-Other: 1\r\n"
      return .bytes(Array("HTTP/1.1 201 Created\r\n\(mark)Content-Length: 2\r\n\r\n{}".utf8))
    }
    let first = try stage.write("a")
    #expect(first.verdict == "201" && first["X-Other"] == "1")
    #expect(try stage.write("a").verdict == "201 replayed")
    #expect(stage.executions == 1)
  }

  @Test func `a split payment that is answered with 423 is not sent again`() throws {
    let transactions: [String: any Sendable] = ["POST": ["scope": "proxy:write", "operation": "write"]]
    let stage = try KeyedStage(routes: ["/proxy/transactions": transactions])
    stage.answers("423 Locked")
    let target = "/proxy/transactions?instance_id=one"
    let split = #"{"reference":"r","destinations":[{"identifier":"@a"},{"identifier":"@b"}]}"#
    #expect(try stage.write("split", split, target: target).verdict == "423")
    #expect(try stage.write("split", split, target: target).verdict == "423 replayed")
    #expect(try stage.write("single", #"{"reference":"r"}"#, target: target).verdict == "423")
    #expect(try stage.write("single", #"{"reference":"r"}"#, target: target).verdict == "423")
    #expect(stage.executions == 3)
  }

  @Test func `a 413 does not say that a key is free which was not looked up`() throws {
    let stage = try KeyedStage()
    let body = #"{"name":"\#(String(repeating: "x", count: 2_000))"}"#
    #expect(try stage.write("a", body).verdict == "201")
    try stage.folder.writeSettings(changes: ["idempotency": ["body_bytes_max": 1_024]])
    try stage.restart(killing: false)
    let refused = try stage.write("a", body)
    #expect(refused.status == 413 && refused.member("outcome") == nil, "\(refused.bodyText)")
    #expect(stage.executions == 1)
  }

  @Test func `a stored response that was damaged is answered with its status, never as not sent`() throws {
    let stage = try KeyedStage()
    stage.answers("201 Created", #"{"name":"\#(String(repeating: "x", count: 3_000))"}"#)
    #expect(try stage.write("a").verdict == "201")
    let folder = stage.folder.statePath + "/idempotency"
    let name = try #require(
      try FileManager.default.contentsOfDirectory(atPath: folder).first { $0.hasSuffix(".bodies") })
    let file = try FileHandle(forUpdating: URL(filePath: "\(folder)/\(name)"))
    try file.seek(toOffset: 10)
    try file.write(contentsOf: Data([0]))
    try file.close()
    let repeated = try stage.write("a")
    #expect(repeated.verdict == "409 GATEWAY_IDEMPOTENCY_RESPONSE_NOT_KEPT" && repeated.member("outcome") == nil)
    #expect(repeated.bodyText.contains("answered with 201"))
    #expect(stage.executions == 1)
  }

  @Test func `a client that is revoked while the journal reads gets no stored response`() throws {
    let stage = try KeyedStage()
    #expect(try stage.write("a").verdict == "201")
    _ = try Strace.inject("delay_enter=3000000", into: "pread64", at: 1, of: stage.gateway.identifier)
    let socket = try TestSocket(port: stage.gateway.port)
    try socket.send(KeyedStage.request("a"))
    // Its claim is in the journal's queue before the policy changes.
    Thread.sleep(forTimeInterval: 0.2)
    try stage.folder.writeClients(app: ["revoked": true])
    stage.gateway.signal(SIGHUP)
    #expect(stage.gateway.waitUntilSaid("generation 2 in force"))
    #expect(try stage.write("b").status == 401)
    var reader = TestMessageReader(socket)
    #expect(try reader.next()?.status == 401)
  }
}
