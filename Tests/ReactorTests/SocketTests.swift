import CLinux
import Glibc
import LoopSupport
import Reactor
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

  @Test func `a peer that has gone is an error and no signal`() throws {
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

@Suite struct DescriptorIdentityTests {
  @Test func `tells a descriptor from the next one of its number`() throws {
    let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    let identity = DescriptorIdentity(of: number)
    #expect(identity != nil && identity == DescriptorIdentity(of: number))
    // Another socket takes the number over, with no moment at which it is free for other tests' threads.
    let other = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer {
      close(number)
      close(other)
    }
    #expect(dup2(other, number) == number)
    #expect(DescriptorIdentity(of: number) != identity)
    #expect(DescriptorIdentity(of: -1) == nil)
  }
}
