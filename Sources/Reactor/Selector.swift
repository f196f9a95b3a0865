import CLinux
import Glibc
package import System

/// What a descriptor is ready for, in the bits of epoll_ctl(2). Edge-triggered: each edge is reported once.
public struct Readiness: OptionSet, Sendable {
  public let rawValue: UInt32
  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  // Computed from literals so that they are constants in other modules too: stored values and array literals cost 4,300
  // instructions per request.
  /// EPOLLIN.
  @inlinable public static var readable: Readiness { Readiness(rawValue: 0x0001) }
  /// EPOLLOUT.
  @inlinable public static var writable: Readiness { Readiness(rawValue: 0x0004) }
  /// The peer has closed its sending side: EPOLLRDHUP.
  @inlinable public static var inputEnded: Readiness { Readiness(rawValue: 0x2000) }
  /// The connection is closed in both directions: EPOLLERR or EPOLLHUP.
  @inlinable public static var hungUp: Readiness { Readiness(rawValue: 0x0018) }

  /// Whether any of `others` is set. `contains` is a generic call in another module, which takes 40 instructions.
  @inlinable public func has(_ others: Readiness) -> Bool { rawValue & others.rawValue != 0 }

  /// Whether a read returns bytes, the end or an error instead of blocking.
  @inlinable public var isReadable: Bool { has(.readable) || hasInputEnded }
  /// Whether no bytes will follow those already received.
  @inlinable public var hasInputEnded: Bool { has(.inputEnded) || has(.hungUp) }
}

/// The data that epoll returns with an event: a slot and its generation, or a new descriptor.
///
/// An event whose generation is not the slot's current one is stale and dropped.
package struct EventTag: Equatable, Sendable {
  package var bits: UInt64

  /// Marks a descriptor that is new to this loop: its number is in the low half, its listener in the 16 bits above.
  private static let newBit: UInt64 = 1 << 63

  init(bits: UInt64) { self.bits = bits }
  package init(slot: UInt32, generation: UInt32) { bits = UInt64(generation & 0x7FFF_FFFF) << 32 | UInt64(slot) }
  package init(newDescriptor: Int32, listener: Int) {
    bits = Self.newBit | UInt64(UInt16(listener)) << 32 | UInt64(UInt32(bitPattern: newDescriptor))
  }

  var newDescriptor: Int32? { bits & Self.newBit == 0 ? nil : Int32(truncatingIfNeeded: bits) }
  /// The index of the listener that accepted a new descriptor.
  var listener: Int { Int(UInt16(truncatingIfNeeded: bits >> 32)) }
  var slot: UInt32 { UInt32(truncatingIfNeeded: bits) }
  var generation: UInt32 { UInt32(truncatingIfNeeded: bits >> 32) & 0x7FFF_FFFF }
}

/// The system calls of a loop, for readiness and time: Linux's or a simulation's.
package protocol Kernel: AnyObject {
  var sockets: any SocketCalls { get }
  /// Monotonic.
  var nanoseconds: Int64 { get }
  /// Since 1970.
  var wallMicroseconds: Int64 { get }
  /// Waits for events at most `timeout` milliseconds (nil: without limit) and returns their number.
  func wait(timeout: Int64?) -> Int
  /// One of the events of the last `wait`.
  func event(_ index: Int) -> (tag: EventTag, readiness: Readiness)
  /// - Parameter interest: in the bits of epoll_ctl(2).
  func add(_ descriptor: Int32, _ tag: EventTag, interest: UInt32) throws(Errno)
  func modify(_ descriptor: Int32, _ tag: EventTag, interest: UInt32) throws(Errno)
  func remove(_ descriptor: Int32)
}

/// Makes all epoll calls.
@safe final class Selector: Kernel {
  static let eventsMax = 256
  static let bothWays = EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue

  private let epoll: Int32
  private let events: UnsafeMutablePointer<epoll_event>

  /// - Parameter epoll: the epoll descriptor; its owner must outlive the selector.
  init(epoll: Int32) {
    self.epoll = epoll
    unsafe events = UnsafeMutablePointer.allocate(capacity: Self.eventsMax)
  }

  deinit { unsafe events.deallocate() }

  var sockets: any SocketCalls { LinuxSocketCalls.shared }
  var nanoseconds: Int64 { SystemClock.nanoseconds }
  var wallMicroseconds: Int64 { SystemClock.wallMicroseconds }

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

  /// Callable from any thread, as epoll_ctl is: this is how a connection is handed to another loop.
  static func control(
    _ epoll: Int32, _ operation: Int32, _ descriptor: Int32, _ tag: EventTag, _ interest: UInt32
  ) throws(Errno) {
    var event = unsafe epoll_event()
    unsafe event.events = interest
    unsafe event.data.u64 = tag.bits
    guard unsafe epoll_ctl(epoll, operation, descriptor, &event) == 0 else { throw Errno.last }
  }
}
