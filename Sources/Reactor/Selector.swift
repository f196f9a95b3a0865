import CLinux
import Glibc
package import System

/// What a descriptor is ready for, in the bits of epoll_ctl(2); edge-triggered, so each edge is told once.
public struct Readiness: OptionSet, Sendable {
  public let rawValue: UInt32
  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  // Computed from literals, so that they are constants in other modules too: stored ones, and lists of them, cost 4,300
  // instructions a request.
  /// EPOLLIN.
  @inlinable public static var readable: Readiness { Readiness(rawValue: 0x0001) }
  /// EPOLLOUT.
  @inlinable public static var writable: Readiness { Readiness(rawValue: 0x0004) }
  /// The peer has closed its sending side: EPOLLRDHUP.
  @inlinable public static var inputEnded: Readiness { Readiness(rawValue: 0x2000) }
  /// The connection is gone in both directions: EPOLLERR or EPOLLHUP.
  @inlinable public static var hungUp: Readiness { Readiness(rawValue: 0x0018) }

  /// Whether any of `others` is there. `contains` is a generic call in another module: 40 instructions.
  @inlinable public func has(_ others: Readiness) -> Bool { rawValue & others.rawValue != 0 }

  /// Whether a read would tell something: bytes, the end, or an error.
  @inlinable public var isForReading: Bool { has(.readable) || isForTheEnd }
  /// Whether no more bytes will come than those that are there.
  @inlinable public var isForTheEnd: Bool { has(.inputEnded) || has(.hungUp) }
}

/// What comes back with an event: which registration, in which of its lives.
///
/// The life number makes an event of a reused place stale: it is told apart and dropped.
package struct EventTag: Equatable, Sendable {
  package var bits: UInt64

  /// The descriptor is new to this loop: the low half is its number, the 16 bits above it its listener's.
  private static let newBit: UInt64 = 1 << 63

  init(bits: UInt64) { self.bits = bits }
  package init(place: UInt32, life: UInt32) { bits = UInt64(life & 0x7FFF_FFFF) << 32 | UInt64(place) }
  package init(newDescriptor: Int32, listener: Int) {
    bits = Self.newBit | UInt64(UInt16(listener)) << 32 | UInt64(UInt32(bitPattern: newDescriptor))
  }

  var newDescriptor: Int32? { bits & Self.newBit == 0 ? nil : Int32(truncatingIfNeeded: bits) }
  /// Which of the listeners accepted a new descriptor.
  var listener: Int { Int(UInt16(truncatingIfNeeded: bits >> 32)) }
  var place: UInt32 { UInt32(truncatingIfNeeded: bits) }
  var life: UInt32 { UInt32(truncatingIfNeeded: bits >> 32) & 0x7FFF_FFFF }
}

/// What a loop asks of the system: readiness and time. Linux, or a simulation of it.
package protocol Kernel: AnyObject {
  var sockets: any SocketCalls { get }
  /// Monotonic.
  var nanoseconds: Int64 { get }
  /// Since 1970.
  var wallMicroseconds: Int64 { get }
  /// Waits for events, at most `timeout` milliseconds (nil: for ever); returns how many there are.
  func wait(timeout: Int64?) -> Int
  /// One of the events that `wait` has counted.
  func event(_ index: Int) -> (tag: EventTag, readiness: Readiness)
  /// - Parameter interest: in the bits of epoll_ctl(2).
  func add(_ descriptor: Int32, _ tag: EventTag, interest: UInt32) throws(Errno)
  func modify(_ descriptor: Int32, _ tag: EventTag, interest: UInt32) throws(Errno)
  func remove(_ descriptor: Int32)
}

/// The one place of all epoll calls.
@safe final class Selector: Kernel {
  static let eventsMax = 256
  static let bothWays = EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue

  private let epoll: Int32
  private let events: UnsafeMutablePointer<epoll_event>

  /// - Parameter epoll: the descriptor; its owner outlives the selector.
  init(epoll: Int32) {
    self.epoll = epoll
    unsafe events = UnsafeMutablePointer.allocate(capacity: Self.eventsMax)
  }

  deinit { unsafe events.deallocate() }

  var sockets: any SocketCalls { LinuxSocketCalls.shared }
  var nanoseconds: Int64 { MonotonicClock.nanoseconds }
  var wallMicroseconds: Int64 { MonotonicClock.wallMicroseconds }

  /// Waits for events, at most `timeout` milliseconds (nil: for ever); returns how many there are.
  func wait(timeout: Int64?) -> Int {
    let milliseconds = timeout.map { Int32(clamping: $0) } ?? -1
    let count = unsafe epoll_wait(epoll, events, Int32(Self.eventsMax), milliseconds)
    if count < 0 {
      precondition(errno == EINTR, "epoll_wait: \(Errno.last)")
      return 0
    }
    return Int(count)
  }

  func event(_ index: Int) -> (tag: EventTag, readiness: Readiness) {
    precondition(index >= 0 && index < Self.eventsMax)
    return unsafe (EventTag(bits: events[index].data.u64), Readiness(rawValue: events[index].events))
  }

  func add(_ descriptor: Int32, _ tag: EventTag, interest: UInt32) throws(Errno) {
    try Self.control(epoll, EPOLL_CTL_ADD, descriptor, tag, interest)
  }

  func modify(_ descriptor: Int32, _ tag: EventTag, interest: UInt32) throws(Errno) {
    try Self.control(epoll, EPOLL_CTL_MOD, descriptor, tag, interest)
  }

  func remove(_ descriptor: Int32) {
    _ = epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, nil)
  }

  /// epoll_ctl may be called from any thread: that is how a connection is handed to another loop.
  static func control(
    _ epoll: Int32, _ operation: Int32, _ descriptor: Int32, _ tag: EventTag, _ interest: UInt32
  ) throws(Errno) {
    var event = unsafe epoll_event()
    unsafe event.events = interest
    unsafe event.data.u64 = tag.bits
    guard unsafe epoll_ctl(epoll, operation, descriptor, &event) == 0 else { throw Errno.last }
  }
}
