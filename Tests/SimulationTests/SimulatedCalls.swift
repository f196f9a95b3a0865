import Bytes
import Glibc
import Reactor
import System
import TestValues

/// The gateway's end of a simulated connection.
final class SimulatedEnd {
  let number: Int32
  /// Bytes that have arrived and are unread.
  var arrived: [UInt8] = []
  var arrivedEnd = false
  var isReset = false
  /// How much may be sent before the peer reads.
  var room: Int
  /// Nothing arrives and nothing leaves any more, without an event.
  var isStalled = false
  /// Callbacks of the peer.
  var onSent: ([UInt8]) -> Void = { _ in }
  var onEnd: () -> Void = {}

  /// The last bytes before the end, which the kernel may delay until then.
  fileprivate var heldBack: [UInt8] = []

  fileprivate var tag: EventTag?
  fileprivate var edges: Readiness = []

  init(number: Int32, room: Int) {
    self.number = number
    self.room = room
  }

  fileprivate func sendHeldBack() {
    guard !heldBack.isEmpty else { return }
    let bytes = heldBack
    heldBack = []
    onSent(bytes)
  }

  fileprivate var level: Readiness {
    var readiness: Readiness = []
    if !arrived.isEmpty || arrivedEnd { readiness.insert(.readable) }
    if room > 0 { readiness.insert(.writable) }
    if arrivedEnd { readiness.insert(.inputEnded) }
    if isReset { readiness.formUnion([.readable, .writable, .inputEnded, .hungUp]) }
    return readiness
  }
}

/// The system calls of simulated sockets, one of which may fail ("step N").
final class SimulatedCalls: SocketCalls {
  enum Harm: CaseIterable {
    case none, failure, stall
  }

  var harm = Harm.none
  /// The number of the call that fails, from 0.
  var harmedCall = Int.max
  private(set) var callCount = 0
  var wasHarmed: Bool { callCount > harmedCall && harm != .none }
  /// Forbidden calls of the gateway, for example on a descriptor that it has closed.
  private(set) var violations: [String] = []
  var extraEvents: [(tag: EventTag, readiness: Readiness)] = []

  private var ends: [Int32: SimulatedEnd] = [:]
  private static let firstNumber: Int32 = 1 << 20

  var openCount: Int { ends.count }

  func open(room: Int) -> SimulatedEnd {
    var number = Self.firstNumber
    while ends[number] != nil { number += 1 }
    let end = SimulatedEnd(number: number, room: room)
    ends[number] = end
    return end
  }

  // MARK: The peers' side

  func deliver(_ bytes: [UInt8], to end: SimulatedEnd) {
    guard isOpen(end), !end.isStalled else { return }
    end.arrived += bytes
    end.edges.insert(.readable)
  }

  func deliverEnd(to end: SimulatedEnd) {
    guard isOpen(end), !end.isStalled else { return }
    end.arrivedEnd = true
    end.edges.formUnion([.readable, .inputEnded])
  }

  func reset(_ end: SimulatedEnd) {
    guard isOpen(end), !end.isStalled else { return }
    end.isReset = true
    end.edges.formUnion(end.level)
  }

  func giveRoom(_ count: Int, to end: SimulatedEnd) {
    guard isOpen(end), !end.isStalled else { return }
    end.room += count
    end.edges.insert(.writable)
  }

  func isOpen(_ end: SimulatedEnd) -> Bool { ends[end.number] === end }

  // MARK: epoll

  func watch(_ number: Int32, _ tag: EventTag) throws(Errno) {
    // The loop's own wake-up is Linux's.
    guard number >= Self.firstNumber else { return }
    guard let end = end(number) else { throw Errno(EBADF) }
    if isHarmed(end) { throw Errno(ENOMEM) }
    end.tag = tag
    end.edges = end.level
  }

  func unwatch(_ number: Int32) { ends[number]?.tag = nil }

  func takeEvents(using random: inout SeededGenerator) -> [(tag: EventTag, readiness: Readiness)] {
    var events = extraEvents
    extraEvents = []
    for end in ends.values where !end.heldBack.isEmpty && !end.isStalled {
      violations.append("what \(end.number) sent as its last bytes waits for an end")
    }
    for end in ends.values.sorted(by: { $0.number < $1.number }) where !end.edges.isEmpty {
      guard let tag = end.tag else { continue }
      events.append((tag, end.edges))
      end.edges = []
    }
    return events.shuffled(using: &random)
  }

  // MARK: System calls

  func receive(_ number: Int32, into buffer: ByteBuffer) -> Transfer {
    guard let end = end(number) else { return .failed(Errno(EBADF)) }
    if isHarmed(end) { return .failed(Errno(ECONNRESET)) }
    // Linux delivers what arrived before the reset, even after sending has failed.
    guard !end.arrived.isEmpty else {
      return end.isReset ? .failed(Errno(ECONNRESET)) : end.arrivedEnd ? .ended : .wouldBlock
    }
    let count = min(buffer.freeCapacity, end.arrived.count)
    buffer.append(Array(end.arrived.prefix(count)))
    end.arrived.removeFirst(count)
    return .bytes(count)
  }

  func send(_ number: Int32, _ buffer: ByteBuffer, _ range: Range<Int>, isLast: Bool) -> Transfer {
    send(number, isLast: isLast) { room in bytes(buffer, range.prefix(room)) }
  }

  func send(
    _ number: Int32, _ first: ByteBuffer, from offset: Int, then second: ByteBuffer, _ range: Range<Int>,
    isLast: Bool
  ) -> Transfer {
    send(number, isLast: isLast) { room in
      let head = bytes(first, (offset..<first.count).prefix(room))
      return head + bytes(second, range.prefix(room - head.count))
    }
  }

  /// - Parameter taking: returns at most that many of the bytes to send.
  private func send(_ number: Int32, isLast: Bool, taking: (Int) -> [UInt8]) -> Transfer {
    guard let end = end(number) else { return .failed(Errno(EBADF)) }
    if isHarmed(end) { return .failed(Errno(EPIPE)) }
    if end.isReset { return .failed(Errno(EPIPE)) }
    guard end.room > 0 else { return .wouldBlock }
    let sent = taking(end.room)
    end.room -= sent.count
    // The last bytes wait for the end, which has to follow, unless the buffer is full.
    end.heldBack += sent
    if !isLast || end.room == 0 { end.sendHeldBack() }
    return .bytes(sent.count)
  }

  private func bytes(_ buffer: ByteBuffer, _ range: Range<Int>) -> [UInt8] {
    buffer.withBytes { span in range.map { span[$0] } }
  }

  func bytesWaiting(_ number: Int32) -> Int? { end(number).map(\.arrived.count) }

  func endOutput(_ number: Int32) {
    guard let end = end(number), !end.isStalled else { return }
    end.sendHeldBack()
    end.onEnd()
  }

  func resetOnClose(_ number: Int32) { _ = end(number) }
  func peerAddress(_ number: Int32) -> SocketAddress? { .ipv4(address: 0x7f00_0001, port: 1) }

  func close(_ number: Int32) {
    guard let end = end(number) else { return }
    ends[number] = nil
    guard !end.isStalled else { return }
    end.sendHeldBack()
    end.onEnd()
  }

  private func end(_ number: Int32) -> SimulatedEnd? {
    if let end = ends[number] { return end }
    violations.append("descriptor \(number) is not open")
    return nil
  }

  /// Counts a call, and makes it fail if it is the chosen one.
  private func isHarmed(_ end: SimulatedEnd) -> Bool {
    defer { callCount += 1 }
    guard callCount == harmedCall else { return false }
    switch harm {
    case .none: return false
    case .failure:
      reset(end)
      return true
    case .stall:
      // The capacity stays the same, as in a socket's buffer.
      end.isStalled = true
      end.arrived = []
      end.arrivedEnd = false
      return false
    }
  }
}
