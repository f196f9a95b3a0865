import CLinux
import Glibc
import Synchronization
package import System

/// Whom a loop tells about one registration.
///
/// A class to inherit from and no protocol, so that the loop calls a handler without counting a reference: 290
/// instructions and 12 locked ones a request.
open class EventHandler {
  @inlinable public init() {}

  /// The descriptor became ready.
  open func ready(_ readiness: Readiness) {}
  /// A call that `again` or `later` was asked for.
  ///
  /// - Parameter reason: as it was given then.
  open func wokenUp(for reason: UInt8) {}
  open func deadlinePassed() {}
}

/// What a loop tells its owner.
package protocol EventLoopDelegate: AnyObject {
  /// Another thread handed over a connected socket: register it.
  ///
  /// - Parameter listener: which of the listeners accepted it.
  func adopted(_ descriptor: consuming FileDescriptor, from listener: Int)
  /// Another thread called `wake`.
  func woken()
  /// All events of a turn are handled.
  func turnEnded()
}

/// Names a registration in one of its lives.
package struct Registration: Equatable, Sendable {
  fileprivate let place: UInt32
  fileprivate let life: UInt32
  /// No registration at all.
  package static let none = Registration(place: .max, life: .max)
}

/// One thread's event loop: descriptors, deadlines, and the objects that handle them.
///
/// Confined to its thread. A handler is held from `register` to `unregister`, and freed after the turn, never inside
/// it, so that a handler may end itself and others while events of the same turn still name them.
@safe package final class EventLoop {
  @safe private struct Place {
    /// Retained; whoever is called is alive until the turn has ended.
    var handler: Unmanaged<EventHandler>?
    var life: UInt32 = 0
  }

  package let handle: LoopHandle
  /// Read once a turn: monotonic milliseconds.
  package private(set) var now: Int64
  /// Read once a turn: monotonic nanoseconds.
  package private(set) var nowNanoseconds: Int64
  /// Read once a turn: microseconds since 1970.
  package private(set) var wallMicroseconds: Int64

  private let kernel: any Kernel
  private var places: [Place] = []
  private var freePlaces: [UInt32] = []
  private var deadlines: Deadlines
  private var again = CallList()
  private var agains = CallList()
  private var later = CallList()
  private var laters = CallList()
  private var leaving: [EventHandler] = []
  private var left: [EventHandler] = []
  private var delegate: (any EventLoopDelegate)?
  private var isStopping = false

  /// - Parameter kernel: what stands for Linux in a simulation.
  package init(handle: LoopHandle, kernel: (any Kernel)? = nil) throws(Errno) {
    self.handle = handle
    let kernel = kernel ?? Selector(epoll: handle.epoll.number)
    self.kernel = kernel
    nowNanoseconds = kernel.nanoseconds
    now = nowNanoseconds / 1_000_000
    wallMicroseconds = kernel.wallMicroseconds
    deadlines = Deadlines(now: now)
    // Place 0 is the wake-up itself and has no handler.
    places.append(Place())
    try kernel.add(
      handle.wakeUp.number, EventTag(place: 0, life: 0), interest: EPOLLIN.rawValue | EPOLLET.rawValue)
  }

  deinit {
    for place in places { unsafe place.handler?.release() }
  }

  /// The clock itself, in the midst of a turn: monotonic nanoseconds.
  package var clockNanoseconds: Int64 { kernel.nanoseconds }

  /// The system calls of this loop's sockets.
  package var sockets: any SocketCalls { kernel.sockets }

  // MARK: Running

  /// Takes turns until `stop`; it can run again then.
  package func run(for delegate: any EventLoopDelegate) {
    self.delegate = delegate
    while !isStopping { turn() }
    isStopping = false
    self.delegate = nil
  }

  package func stop() { isStopping = true }

  private func turn() {
    let isIdle = again.isEmpty && later.isEmpty
    let timeout: Int64? = isIdle ? deadlines.untilNext(now: kernel.nanoseconds / 1_000_000) : 0
    handle.busySince.store(0, ordering: .relaxed)
    let count = kernel.wait(timeout: timeout)
    readClocks()
    handle.busySince.store(nowNanoseconds, ordering: .relaxed)
    for index in 0..<count {
      let event = kernel.event(index)
      dispatch(event.tag, event.readiness)
    }
    callAgain()
    callLater()
    while let place = deadlines.popDue(now: now) {
      unsafe places[Int(place)].handler?._withUnsafeGuaranteedRef { $0.deadlinePassed() }
    }
    delegate?.turnEnded()
    freeLeaving()
  }

  /// Frees the handlers whose registrations have ended; a loop that takes no more turns would hold them, and they it.
  ///
  /// A handler's end may end others: they must not join the array that is being emptied.
  package func freeLeaving() {
    while !leaving.isEmpty {
      swap(&leaving, &left)
      left.removeAll(keepingCapacity: true)
    }
  }

  private func readClocks() {
    nowNanoseconds = kernel.nanoseconds
    now = nowNanoseconds / 1_000_000
    wallMicroseconds = kernel.wallMicroseconds
  }

  private func dispatch(_ tag: EventTag, _ readiness: Readiness) {
    if let descriptor = tag.newDescriptor {
      handle.arriving.subtract(1, ordering: .relaxed)
      delegate?.adopted(FileDescriptor(owning: descriptor), from: tag.listener)
    } else if tag.place == 0 {
      var wakes: eventfd_t = 0
      _ = unsafe eventfd_read(handle.wakeUp.number, &wakes)
      delegate?.woken()
    } else if places[Int(tag.place)].life == tag.life {
      unsafe places[Int(tag.place)].handler?._withUnsafeGuaranteedRef { $0.ready(readiness) }
    }
  }

  @inline(__always)
  private func wakeUp(_ call: CallList.Call) {
    guard isCurrent(call.registration) else { return }
    unsafe places[Int(call.registration.place)].handler?._withUnsafeGuaranteedRef { $0.wokenUp(for: call.reason) }
  }

  private func callAgain() {
    guard !again.isEmpty else { return }
    swap(&again, &agains)
    for index in 0..<agains.count { wakeUp(agains[index]) }
    agains.removeAll()
  }

  private func callLater() {
    while !later.isEmpty {
      swap(&later, &laters)
      for index in 0..<laters.count { wakeUp(laters[index]) }
      laters.removeAll()
    }
  }

  // MARK: Registrations

  /// Gives `handler` a place, still without a descriptor.
  package func register(_ handler: EventHandler) -> Registration {
    let place: UInt32
    if let free = freePlaces.popLast() {
      place = free
    } else {
      place = UInt32(places.count)
      places.append(Place())
    }
    unsafe places[Int(place)].handler = Unmanaged.passRetained(handler)
    return Registration(place: place, life: places[Int(place)].life)
  }

  /// Ends a registration; a deadline goes with it. The descriptor leaves epoll when it is closed, or by `unwatch`.
  package func unregister(_ registration: Registration) {
    guard isCurrent(registration) else { return }
    let place = Int(registration.place)
    if let handler = unsafe places[place].handler { unsafe leaving.append(handler.takeRetainedValue()) }
    unsafe places[place].handler = nil
    places[place].life = (places[place].life + 1) & 0x7FFF_FFFF
    deadlines.clear(registration.place)
    freePlaces.append(registration.place)
  }

  private func isCurrent(_ registration: Registration) -> Bool {
    // The place of none is beyond all others.
    let place = Int(registration.place)
    return place < places.count && places[place].life == registration.life
  }

  /// Watches a descriptor both ways, edge-triggered; its present readiness is told in the next turn.
  package func watch(_ descriptor: Int32, for registration: Registration) throws(Errno) {
    try kernel.add(
      descriptor, EventTag(place: registration.place, life: registration.life), interest: Selector.bothWays)
  }

  /// The same for a descriptor that another thread has added to this loop's epoll.
  package func watchAdopted(_ descriptor: Int32, for registration: Registration) throws(Errno) {
    try kernel.modify(
      descriptor, EventTag(place: registration.place, life: registration.life), interest: Selector.bothWays)
  }

  /// Watches a descriptor level-triggered, for what `readiness` names: for listeners, and for libcurl while it connects.
  package func watch(_ descriptor: Int32, for registration: Registration, level readiness: Readiness) throws(Errno) {
    let tag = EventTag(place: registration.place, life: registration.life)
    do throws(Errno) {
      try kernel.add(descriptor, tag, interest: readiness.rawValue)
    } catch {
      guard error.number == EEXIST else { throw error }
      try kernel.modify(descriptor, tag, interest: readiness.rawValue)
    }
  }

  package func unwatch(_ descriptor: Int32) { kernel.remove(descriptor) }

  /// Calls `wokenUp` of this registration once more: behind this turn's events where one of them asks for it, else in the
  /// next turn. For work that must not hold up the others.
  ///
  /// - Parameter reason: the handler's own; it is handed back.
  package func again(_ registration: Registration, _ reason: UInt8 = 0) {
    again.append(CallList.Call(registration: registration, reason: reason))
  }

  /// Calls `wokenUp` of this registration behind all events and `again` calls of this turn (from `deadlinePassed`: of the
  /// next). A handler may ask for it again from within, but has to stop: the turn ends when nobody asks.
  ///
  /// What many send one right behind the other finds their peer awake: waking it anew for each piece was 9 % of the CPU
  /// time with 64 connections under load.
  package func later(_ registration: Registration, _ reason: UInt8 = 0) {
    later.append(CallList.Call(registration: registration, reason: reason))
  }

  /// Sets the one deadline of a registration (monotonic milliseconds; `.max`: none).
  package func setDeadline(_ due: Int64, for registration: Registration) {
    guard isCurrent(registration) else { return }
    deadlines.set(registration.place, at: due)
  }
}
