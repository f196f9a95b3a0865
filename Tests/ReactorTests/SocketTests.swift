import Bytes
import CLinux
import Glibc
import LoopSupport
import Reactor
import System
import TestValues
import Testing

@Suite struct ReadinessTests {
  @Test func `has the bits of epoll`() {
    #expect(Readiness.readable.rawValue == EPOLLIN.rawValue && Readiness.writable.rawValue == EPOLLOUT.rawValue)
    #expect(Readiness.inputEnded.rawValue == EPOLLRDHUP.rawValue)
    #expect(Readiness.hungUp.rawValue == EPOLLHUP.rawValue | EPOLLERR.rawValue)
  }
}

@Suite struct SocketTests {
  @Test func `reads what was sent, then nothing, then the end`() throws {
    let pair = try SocketPair()
    let buffer = ByteBuffer(capacity: 16)
    #expect(pair.near.receive(into: buffer) == .wouldBlock)
    #expect(pair.far.send("hello"))
    #expect(pair.near.receive(into: buffer) == .bytes(5))
    #expect(buffer.text == "hello")
    pair.far.endOutput()
    #expect(pair.near.receive(into: buffer) == .ended)
  }

  @Test func `writes two parts with one call`() throws {
    let pair = try SocketPair()
    let (head, body, received) = (ByteBuffer("xxhead "), ByteBuffer("<body>"), ByteBuffer(capacity: 64))
    let sent = pair.far.socket.send(head, from: 2, then: body, 1..<5, isLast: false)
    #expect(sent == .bytes(9))
    #expect(pair.near.receive(into: received) == .bytes(9))
    #expect(received.text == "head body")
  }

  @Test func `writing to a closed peer is an error, not a signal`() throws {
    let near = try SocketPair().near
    #expect(near.send(ByteBuffer("x")) == .failed(Errno(EPIPE)))
  }

  @Test func `a full socket would block`() throws {
    let pair = try SocketPair()
    let buffer = ByteBuffer(String(repeating: "x", count: 1 << 20))
    var last = Transfer.bytes(0)
    while case .bytes = last { last = pair.near.send(buffer) }
    #expect(last == .wouldBlock)
  }
}
