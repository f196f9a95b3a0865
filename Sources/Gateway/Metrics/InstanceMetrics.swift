import Counters
import HTTP1
import Policies
import Synchronization
import Upstream

/// What one loop has counted of one instance.
final class InstanceMetrics: Sendable {
  /// How long exchanges waited for the instance: to connect, to read and to answer.
  let upstreamTime = Histogram()
  let pools = PoolCounters()
  private let byRoute = Mutex<[RequestKind: RequestCounter]>([:])
  private let fault = Mutex<InstanceFault?>(nil)

  /// The counter of the requests of one kind, made at the first call.
  func requests(_ kind: RequestKind) -> RequestCounter {
    byRoute.withLock { $0.value(kind, orElse: RequestCounter()) }
  }

  var requests: [RequestKind: RequestCounter] { byRoute.withLock(\.self) }

  var lastFault: InstanceFault? { fault.withLock(\.self) }

  func failed(_ new: InstanceFault) { fault.withLock { $0 = new } }
}

/// What tells the requests of an instance apart in metrics: never a caller's own text.
struct RequestKind: Hashable {
  /// As in the policy; empty where the request has met none.
  let route: [UInt8]
  let method: HTTP1.Method
}

/// What failed at an instance, in the log's words.
struct InstanceFault {
  let code: GatewayCode
  /// It may name addresses and certificates.
  let cause: String?
  /// Microseconds since 1970.
  let at: Int64
}

/// A loop's way to the counters of one instance by route, for one policy: a slot in an array.
final class RequestSeries {
  private let metrics: InstanceMetrics
  private var counters: [RequestCounter?] = []

  /// Requests without a route have a slot for each method.
  private static var routeless: Int { 10 }
  /// HEAD takes the route of GET.
  private static var methodsOfRoute: Int { 2 }

  init(_ metrics: InstanceMetrics) {
    precondition(HTTP1.Method.allCases.count == Self.routeless)
    self.metrics = metrics
  }

  /// Counts a request; false when its counter is still to be found.
  ///
  /// - Parameter slot: from `slot`.
  @inline(__always)
  func count(status: Int, at slot: Int) -> Bool {
    guard slot < counters.count, let counter = counters[slot] else { return false }
    counter.count(status: status)
    return true
  }

  /// Finds the counter of such requests, from now on.
  ///
  /// - Parameter route: the slot in the table; less than 0 for none.
  func find(_ method: HTTP1.Method, route: Int32, in routes: RouteTable) {
    if counters.isEmpty {
      counters = Array(repeating: nil, count: Self.routeless + Self.methodsOfRoute * routes.routes.count)
    }
    let pattern = route < 0 ? [] : routes.routes[Int(route)].pattern
    counters[Self.slot(method, route)] = metrics.requests(RequestKind(route: pattern, method: method))
  }

  /// Where such requests are counted. It is asked for before their counters are: a call of another module would count the
  /// references to these up and down.
  @inline(__always)
  static func slot(_ method: HTTP1.Method, _ route: Int32) -> Int {
    guard route >= 0 else { return Int(method.rawValue) }
    return routeless + methodsOfRoute * Int(route) + (method.isHead ? 1 : 0)
  }
}
