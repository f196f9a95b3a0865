import CLibcurl
import Glibc
import LoopSupport
import Reactor
import System
import Testing

@testable import Upstream

/// A pool on a loop of the test's thread, and the listener that is its upstream.
final class PoolRig {
  static let isLibcurlReady: Bool = {
    _ = signal(SIGPIPE, SIG_IGN)
    startLibcurl()
    return true
  }()

  let turns: Turns
  let listener: Reactor.Listener
  let pool: Pool
  let budget: ConnectionBudget
  let names = NameCache()

  init(
    host: String = "127.0.0.1", port: UInt16? = nil, isSecure: Bool = false, connectionsMax budgetMax: Int = 100,
    _ change: (inout UpstreamSettings) -> Void = { _ in }
  ) throws {
    try #require(Self.isLibcurlReady)
    turns = try Turns()
    listener = try Reactor.Listener(.tcp(host: "127.0.0.1", port: 0))
    let ownPort = try #require(listener.localAddress?.port)
    var settings = UpstreamSettings(isSecure: isSecure, host: host, port: port ?? ownPort)
    change(&settings)
    budget = ConnectionBudget(connectionsMax: budgetMax, loop: turns.loop)
    pool = Pool(settings: settings, loop: turns.loop, names: names, budget: budget)
  }

  /// Another upstream under the same budget: the same listener by another address of the loopback net.
  func otherPool(_ change: (inout UpstreamSettings) -> Void = { _ in }) -> Pool {
    var settings = pool.settings
    change(&settings)
    return Pool(settings: settings, loop: turns.loop, names: names, budget: budget)
  }

  /// Asks, and waits until the connection is there.
  func lease(_ client: Client, from other: Pool? = nil, isWrite: Bool = false) throws -> UpstreamConnection {
    client.ask(other ?? pool, isWrite: isWrite)
    try #require(turns.run { client.connection != nil || client.fault != nil })
    return try #require(client.connection, "\(String(describing: client.fault))")
  }

  /// The upstream's side of the next connection.
  func accept() throws -> Peer {
    var peer: Peer?
    try #require(
      turns.run {
        peer = peer ?? (try? self.listener.next()); return peer != nil
      })
    return try #require(peer)
  }

  /// Lets a name of the pool's port resolve to these addresses, as if its resolution had been kept.
  func resolve(_ name: String, to addresses: String) {
    let easy = unsafe curl_easy_init()
    let entry = unsafe curl_slist_append(nil, "\(name):\(pool.settings.port):\(addresses)")
    unsafe _ = curl_easy_set_string(easy, CURLOPT_URL, "http://127.0.0.1:1/")
    unsafe _ = curl_easy_set_pointer(easy, CURLOPT_SHARE, names.share)
    unsafe _ = curl_easy_set_pointer(easy, CURLOPT_RESOLVE, entry)
    unsafe _ = curl_easy_perform(easy)
    unsafe curl_easy_cleanup(easy)
    unsafe curl_slist_free_all(entry)
  }
}

/// Acquires a connection and records the result.
final class Client: ConnectionDelegate {
  let clientKey: UInt32
  var isUploading: Bool
  var poolPlace = PoolPlace.none
  private(set) var acquisition: Acquisition?
  private(set) var connection: UpstreamConnection?
  private(set) var fault: ConnectFault?
  /// Connects that began for it out of the queue.
  private(set) var connectsBegun = 0
  private(set) var readies = 0
  /// How many answers it got: one, at most.
  private(set) var answers = 0
  /// Whether its place in the queue went to another client.
  private(set) var wasTurnedAway = false

  init(_ clientKey: UInt32 = 0, isUploading: Bool = false) {
    self.clientKey = clientKey
    self.isUploading = isUploading
  }

  func ask(_ pool: Pool, isWrite: Bool = false, fresh: Bool = false) {
    (connection, fault, answers) = (nil, nil, 0)
    let acquisition = fresh ? pool.acquireFresh(for: self) : pool.acquire(for: self, isWrite: isWrite)
    self.acquisition = acquisition
    if case .leased(let connection) = acquisition { leaseGranted(connection) }
  }

  func replaceConnection(in pool: Pool) {
    guard let unfit = connection else { return }
    (connection, answers) = (nil, 0)
    acquisition = pool.replace(unfit, for: self)
  }

  func giveBack(to pool: Pool, isReusable: Bool = true) {
    guard let connection else { return }
    self.connection = nil
    connection.release(isReusable: isReusable)
  }

  func connectBegan() { connectsBegun += 1 }

  func leaseGranted(_ connection: UpstreamConnection) {
    answers += 1
    self.connection = connection
  }

  func connectFailed(_ fault: ConnectFault) {
    answers += 1
    self.fault = fault
  }

  func evictedFromQueue() {
    answers += 1
    wasTurnedAway = true
  }

  func upstreamReady(_ connection: UpstreamConnection) { readies += 1 }

  var isQueued: Bool { if case .queued = acquisition { true } else { false } }
  var isConnecting: Bool { if case .connecting = acquisition { true } else { false } }
  var isLeased: Bool { if case .leased = acquisition { true } else { false } }
  var isTurnedAway: Bool { if case .full = acquisition { true } else { false } }
}

/// An address that nothing completes a connect to: a listener whose queue is full.
final class FullListener {
  let port: UInt16
  private let descriptor: Peer
  private var callers: [Peer] = []

  init() throws {
    let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    descriptor = Peer(Socket(FileDescriptor(owning: number)))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = unsafe withUnsafeMutableBytes(of: &address) {
      let pointer = unsafe $0.baseAddress!.assumingMemoryBound(to: sockaddr.self)
      return unsafe bind(number, pointer, size) | listen(number, 0) | getsockname(number, pointer, &size)
    }
    guard result == 0 else { throw Errno.last }
    port = UInt16(bigEndian: address.sin_port)
    for _ in 0..<4 {
      let caller = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
      callers.append(Peer(Socket(FileDescriptor(owning: caller))))
      unsafe _ = withUnsafeMutableBytes(of: &address) {
        unsafe Glibc.connect(caller, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), size)
      }
    }
  }
}

/// All bytes of a file; nil if it cannot be read.
func contents(_ path: String) -> [UInt8]? {
  guard let file = try? InputFile(path: path), let count = file.byteCount else { return nil }
  return try? file.read(count)
}
