import Counters
import HTTP1
import Policies
import Synchronization
import Upstream

/// One loop's counts of one instance.
final class InstanceMetrics: Sendable {
  /// How long exchanges waited for the instance: to connect, to read and to respond.
  let upstreamTime = Histogram()
  let pools = PoolCounters()
  private let byRoute = Mutex<[RequestKind: RequestCounter]>([:])
  /// nil until an exchange ends with a code, because there can be very many instances.
  private let byCode = Mutex<CodeCounters?>(nil)
  private let fault = Mutex<InstanceFault?>(nil)

  /// The counter of the requests of one kind, made at the first call.
  func requests(_ kind: RequestKind) -> RequestCounter {
    byRoute.withLock { $0.value(kind, orElse: RequestCounter()) }
  }

  var requests: [RequestKind: RequestCounter] { byRoute.withLock(\.self) }

  /// Counts an exchange that ended with this code.
  func ended(with code: GatewayCode) {
    byCode.withLock { codes in
      let known = codes ?? CodeCounters()
      known.add(code)
      codes = known
    }
  }

  var codes: CodeCounters? { byCode.withLock(\.self) }

  var lastFault: InstanceFault? { fault.withLock(\.self) }

  func failed(_ new: InstanceFault) { fault.withLock { $0 = new } }
}

/// The labels of a request counter, besides the instance. They never contain text from a request.
struct RequestKind: Hashable {
  /// The pattern in the policy; empty if the request matched no route.
  let route: [UInt8]
  let method: HTTP1.Method
}

/// A fault of an instance, as the log describes it.
struct InstanceFault {
  let code: GatewayCode
  /// It may name addresses and certificates.
  let cause: String?
  /// Microseconds since 1970.
  let at: Int64
}

/// A loop's request counters of one instance, indexed by route and method under one policy.
final class RequestSeries {
  private let metrics: InstanceMetrics
  private var counters: [RequestCounter?] = []

  /// Requests without a route have a slot for each method.
  private static var methodSlots: Int { 10 }
  /// HEAD takes the route of GET.
  private static var methodsOfRoute: Int { 2 }

  init(_ metrics: InstanceMetrics) {
    precondition(HTTP1.Method.allCases.count == Self.methodSlots)
    self.metrics = metrics
  }

  /// Counts a request; false if `find` has to find its counter first.
  ///
  /// - Parameter slot: from `slot`.
  @inline(__always)
  func count(status: Int, at slot: Int) -> Bool {
    guard slot < counters.count, let counter = counters[slot] else { return false }
    counter.count(status: status)
    return true
  }

  /// Finds the counter of a method and route, and keeps it.
  ///
  /// - Parameter route: the index in the route table; negative: none.
  func find(_ method: HTTP1.Method, route: Int32, in routes: RouteTable) {
    if counters.isEmpty {
      counters = Array(repeating: nil, count: Self.methodSlots + Self.methodsOfRoute * routes.routes.count)
    }
    let pattern = route < 0 ? [] : routes.routes[Int(route)].pattern
    counters[Self.slot(method, route)] = metrics.requests(RequestKind(route: pattern, method: method))
  }

  /// The slot of a method and route. Computed before the counters are read, because a call to another module would
  /// retain and release them.
  @inline(__always)
  static func slot(_ method: HTTP1.Method, _ route: Int32) -> Int {
    guard route >= 0 else { return Int(method.rawValue) }
    return methodSlots + methodsOfRoute * Int(route) + (method.isHead ? 1 : 0)
  }
}
