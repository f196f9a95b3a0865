import Bytes
import Glibc
import LoopSupport
import Reactor
import System
import TestValues
import Testing

/// Over TCP, where closing with unread bytes resets the connection.
@Suite struct LingeringCloseTests {
  @Test func `waits until the peer has closed its side`() throws {
    let (near, far) = try connection()
    near.endOutput()
    var close = LingeringClose(bytesMax: 5)
    #expect(drain(&close, near) == .waiting)
    #expect(far.send("abc"))
    #expect(near.waitUntilReadable() && drain(&close, near) == .waiting)
    far.endOutput()
    #expect(near.waitUntilReadable() && drain(&close, near) == .peerEnded)
  }

  @Test(arguments: [(0, 0), (0, 1), (5, 5), (5, 6), (70_000, 70_000), (70_000, 70_001)])
  func `reads as many bytes as the bound, and no more`(bytesMax: Int, sent: Int) throws {
    let (near, far) = try connection()
    var close = LingeringClose(bytesMax: bytesMax)
    let pieces = [sent / 2, sent - sent / 2].filter { $0 > 0 }
    var progress = LingeringClose.Progress.waiting
    for count in pieces {
      #expect(progress == .waiting && far.send(String(repeating: "x", count: count)))
      #expect(near.waitUntilHolding(count))
      progress = drain(&close, near)
    }
    #expect(progress == (sent > bytesMax ? .boundReached : .waiting))
    far.endOutput()
    guard progress == .waiting else { return }
    #expect(near.waitUntilReadable() && drain(&close, near) == .peerEnded)
  }

  @Test func `a peer that resets the connection has ended it`() throws {
    let near = try {
      let (near, far) = try connection()
      far.socket.resetOnClose()
      return near
    }()
    var close = LingeringClose(bytesMax: 1)
    #expect(near.waitUntilReadable() && drain(&close, near) == .peerEnded)
  }

  @Test func `leaves the scratch buffer empty`() throws {
    let (near, far) = try connection()
    #expect(far.send("abc") && near.waitUntilReadable())
    let scratch = ByteBuffer("before")
    var close = LingeringClose(bytesMax: 5)
    #expect(close.drain(near.socket, into: scratch) == .waiting && scratch.isEmpty)
  }

  /// The peer keeps sending and reads the response only afterwards.
  @Test func `bytes that arrive after the response cause no reset`() throws {
    let far = try {
      let (near, far) = try connection()
      #expect(far.send("the beginning of a body") && near.waitUntilReadable())
      #expect(near.send("a response"))
      near.endOutput()
      var close = LingeringClose(bytesMax: 1_000)
      #expect(drain(&close, near) == .waiting)
      for _ in 0..<3 {
        #expect(far.send("more of it") && near.waitUntilReadable())
        #expect(drain(&close, near) == .waiting)
      }
      #expect(far.receive() == "a response")
      far.endOutput()
      #expect(near.waitUntilReadable() && drain(&close, near) == .peerEnded)
      return far
    }()
    #expect(far.receive(into: ByteBuffer(capacity: 16)) == .ended)
  }

  /// The result of the test above without a lingering close.
  @Test func `closing at once causes a reset`() throws {
    let far = try {
      let (near, far) = try connection()
      #expect(far.send("the beginning of a body") && near.waitUntilReadable())
      #expect(near.send("a response"))
      return far
    }()
    var last = Transfer.bytes(0)
    while case .bytes = last { last = far.receive(into: ByteBuffer(capacity: 16)) }
    #expect(last == .failed(Errno(ECONNRESET)))
  }
}

private func drain(_ close: inout LingeringClose, _ peer: Peer) -> LingeringClose.Progress {
  close.drain(peer.socket, into: ByteBuffer(capacity: 4_096))
}
