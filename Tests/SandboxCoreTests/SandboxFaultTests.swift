import Bytes
import Reactor
import System
import Testing

@testable import SandboxCore

/// Repeated and failing writes through real sockets.
@Suite(.timeLimit(.minutes(10))) struct SandboxFaultTests {
  private static let parallel = 12

  private func payment(_ fields: String = "", skips: Bool = true) -> String {
    request(
      "POST /transactions",
      body: #"{"amount":10,"currency":"USD","description":"d","reference":"r","source":"@World","destination":"@A","#
        + #""allow_overdraft":true,"skip_queue":\#(skips)\#(fields)}"#)
  }

  private func byReference(_ server: SandboxServer, _ reference: String = "r") throws -> String {
    try exchange(server, [request("GET /transactions/reference/\(reference)")])
  }

  /// Sends all requests on separate connections before it reads the first response.
  private func exchangeInParallel(_ server: SandboxServer, _ request: String) throws -> [String] {
    let pending = try (0..<Self.parallel).map { _ in try PendingExchange(server, request) }
    return try pending.map { try $0.response() }
  }

  @Test func `12 parallel queued requests with one reference get 12 ids and are executed once`() throws {
    try withSandbox { server in
      let answers = try exchangeInParallel(server, payment(skips: false))
      #expect(answers.count { $0.hasPrefix("HTTP/1.1 201 ") } == Self.parallel)
      let ids = answers.map { $0.ids.first ?? "" }
      #expect(Set(ids).count == Self.parallel)
      let real = try #require(try byReference(server).ids.first)
      #expect(ids.contains(real))
      let found = try ids.map { try exchange(server, [request("GET /transactions/\($0)")]).hasPrefix("HTTP/1.1 200 ") }
      #expect(found.count(where: \.self) == 1)
      #expect(server.executions == [.moved(reference: "r"): 1])
    }
  }

  @Test func `of 12 parallel requests that skip the queue with one reference, one succeeds`() throws {
    try withSandbox { server in
      let answers = try exchangeInParallel(server, payment())
      #expect(answers.count { $0.hasPrefix("HTTP/1.1 201 ") } == 1)
      #expect(answers.count { $0.hasPrefix("HTTP/1.1 409 ") && $0.contains("TXN_DUPLICATE_REFERENCE") } == 11)
      #expect(server.executions == [.moved(reference: "r"): 1])
    }
  }

  @Test func `of 12 parallel requests with one identity id, one succeeds`() throws {
    try withSandbox { server in
      let id = "idt_9f0c1a52-4a7e-4d3f-8a51-0e6c5cf0a001"
      let answers = try exchangeInParallel(
        server, request("POST /identities", body: #"{"identity_id":"\#(id)"}"#))
      #expect(answers.count { $0.hasPrefix("HTTP/1.1 201 ") } == 1)
      #expect(answers.count { $0.hasPrefix("HTTP/1.1 400 ") && $0.contains("Identity already exists: \(id)") } == 11)
      #expect(server.executions == [.created(id: id): 1])
    }
  }

  @Test(arguments: [
    (SandboxFault.locked, "423 Locked", "GEN_RESOURCE_LOCKED"),
    (.rateLimited, "429 Too Many Requests", "GEN_RATE_LIMITED"),
  ])
  func `a transient fault executes nothing and affects one write`(
    fault: SandboxFault, status: String, code: String
  ) throws {
    try withSandbox { server in
      server.failNextWrites(fault)
      #expect(try exchange(server, [request("GET /balances")]).hasPrefix("HTTP/1.1 200 "))
      let refused = try exchange(server, [payment()])
      #expect(refused.hasPrefix("HTTP/1.1 \(status)\r\n") && refused.contains(#""code":"\#(code)""#), "\(refused)")
      #expect(!refused.contains("Retry-After") && server.executions.isEmpty)
      #expect(try byReference(server).hasPrefix("HTTP/1.1 404 "))
      #expect(try exchange(server, [payment()]).hasPrefix("HTTP/1.1 201 "))
      #expect(server.executions == [.moved(reference: "r"): 1])
    }
  }

  @Test func `a write whose response is lost is executed`() throws {
    try withSandbox { server in
      server.failNextWrites(.responseLost)
      let lost = try exchange(server, [payment()])
      #expect(lost.isEmpty && server.executions == [.moved(reference: "r"): 1])
      let again = try exchange(server, [payment()])
      #expect(again.hasPrefix("HTTP/1.1 409 "))
    }
  }

  @Test func `a write that is never answered is executed at once or late`() throws {
    try withSandbox { server in
      server.failNextWrites(.responseStalled, .executedLate, .executedLate)
      let stalled = try PendingExchange(server, payment(#","reference":"stalled""#))
      #expect(throws: (any Error).self) { try stalled.response() }
      #expect(try byReference(server, "stalled").hasPrefix("HTTP/1.1 200 "))
      let late = try PendingExchange(server, payment(#","reference":"late""#))
      #expect(throws: (any Error).self) { try late.response() }
      // A ledger may be created twice, so its count shows whether a late write is executed again.
      let ledger = try PendingExchange(server, request("POST /ledgers", body: #"{"name":"n"}"#))
      #expect(throws: (any Error).self) { try ledger.response() }
      #expect(try byReference(server, "late").hasPrefix("HTTP/1.1 404 "))
      #expect(server.executions == [.moved(reference: "stalled"): 1])
      server.executeLateWrites()
      #expect(try byReference(server, "late").hasPrefix("HTTP/1.1 200 "))
      server.executeLateWrites()
      let executions = server.executions
      #expect(executions.count == 3 && executions.values.allSatisfy { $0 == 1 })
      #expect(executions[.moved(reference: "late")] == 1)
    }
  }

  @Test func `of a queued transaction that waits and one that overtakes it, the second exists`() throws {
    try withSandbox { server in
      server.failNextWrites(.queuedLate, .queuedLate)
      let first = try exchange(server, [payment(skips: false)])
      let other = try exchange(server, [payment(#","reference":"other""#, skips: false)])
      #expect(first.hasPrefix("HTTP/1.1 201 ") && other.hasPrefix("HTTP/1.1 201 "))
      #expect(try byReference(server).hasPrefix("HTTP/1.1 404 ") && server.executions.isEmpty)
      let second = try exchange(server, [payment(skips: false)])
      server.executeLateWrites()
      #expect(try byReference(server).ids.first == second.ids.first)
      #expect(try byReference(server, "other").ids.first == other.ids.first)
      #expect(server.executions == [.moved(reference: "r"): 1, .moved(reference: "other"): 1])
    }
  }
}

/// A request that is sent, and whose response is not read yet.
private final class PendingExchange {
  private let socket: BlockingSocket

  init(_ server: SandboxServer, _ request: String) throws {
    socket = try BlockingSocket(connectingTo: server.address, waitingAtMost: 1)
    let buffer = ByteBuffer(capacity: 1024)
    buffer.append(text: request)
    try socket.send(buffer)
  }

  /// Everything until the sandbox closes; throws after a second without a byte.
  func response() throws -> String {
    let answer = ByteBuffer(capacity: 64 << 10)
    while try socket.receive(into: answer) > 0 {}
    return answer.withBytes { bytes in String(decoding: copy(bytes, 0..<bytes.count), as: UTF8.self) }
  }
}
