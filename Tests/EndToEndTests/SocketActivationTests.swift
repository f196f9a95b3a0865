import Foundation
import Glibc
import TestFolders
import TestSupport
import Testing

/// Sockets that systemd-socket-activate(1) opens and passes, as systemd does for a socket unit.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct SocketActivationTests {
  private static let target = "/proxy/balances?instance_id=one"

  /// An address for this test alone: the ports of 127.0.0.1 belong to all tests.
  private let host = LoopbackAddress.random()

  private func folder(_ gateway: [String: any Sendable], core: UInt16 = 1) throws -> TestPolicyFolder {
    try TestPolicyFolder(instances: [("one", "http://127.0.0.1:\(core)")], gateway: gateway)
  }

  /// Starts a gateway with sockets at these addresses.
  ///
  /// - Parameters:
  ///   - names: nil: the sockets have no names.
  ///   - knock: connects to one of them, which starts the gateway.
  private func start(
    _ folder: TestPolicyFolder, sockets: [String], names: String?, options: [String] = [],
    environment: [String: String] = [:], knock: () throws -> Void
  ) throws -> GatewayProcess {
    let addresses = sockets.flatMap { ["-l", $0] }
    let variables = (["TEST_KEY"] + environment.keys).flatMap { ["-E", $0] }
    return try GatewayProcess(
      folder, environment: environment,
      wrapper: ["/usr/bin/systemd-socket-activate"] + options + addresses + variables
        + (names.map { ["--fdname=\($0)"] } ?? []),
      whenRun: {
        // It needs a moment to listen.
        var fault: (any Error)?
        let isKnocked = eventually {
          do { try knock() } catch {
            fault = error
            return false
          }
          return true
        }
        if !isKnocked, let fault { throw fault }
      })
  }

  /// The error of a gateway that does not start with these sockets, of which the first one gets a connection.
  private func refusal(
    _ gateway: [String: any Sendable], sockets: [String], names: String?, options: [String] = []
  ) throws -> String {
    let fault = #expect(throws: GatewayProcess.NotStarted.self) {
      _ = try start(folder(gateway), sockets: sockets, names: names, options: options) {
        let type = options.contains("--seqpacket") ? SOCK_SEQPACKET : SOCK_STREAM
        if let colon = sockets[0].lastIndex(of: ":"), let port = UInt16(sockets[0][colon...].dropFirst()) {
          try knock(port: port)
        } else {
          _ = try TestSocket(unixPath: sockets[0], type: type)
        }
      }
    }
    return fault?.output.split(separator: "\n").last.map(String.init) ?? ""
  }

  private func knock(port: UInt16 = 8080) throws { _ = try TestSocket(port: port, of: host) }

  private func status(_ socket: TestSocket, _ target: String = target) throws -> Int? {
    try socket.send(testRequest("GET", target, fields: ["Connection: close"]))
    var reader = TestMessageReader(socket)
    return try reader.next()?.status
  }

  @Test func `serves at passed sockets, of TCP and Unix, and binds the other addresses itself`() throws {
    try withTemporaryFolder { root in
      let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
      let path = root.path("http.sock")
      let unix: [String: any Sendable] = ["address": "unix:\(path)", "mode": "0600"]
      let folder = try folder(
        ["listen": ["127.0.0.1:0", "\(host):8080", unix] as [any Sendable], "admin": "\(host):9901"], core: core.port)
      // The connection that starts the gateway is served, too.
      var first: TestSocket?
      let gateway = try start(
        folder, sockets: ["\(host):9901", path, "\(host):8080"], names: "admin:proxy:proxy"
      ) { first = try TestSocket(port: 8080, of: host) }
      var modeBefore = stat()
      #expect(unsafe stat(path, &modeBefore) == 0 && modeBefore.st_mode & 0o777 != 0o600)
      #expect(try status(try #require(first)) == 200)
      #expect(try status(TestSocket(unixPath: path)) == 200)
      #expect(try status(TestSocket(port: gateway.port)) == 200)
      let admin = try TestSocket(port: 9901, of: host)
      try admin.send("GET /readyz HTTP/1.1\r\nHost: \(host):9901\r\nConnection: close\r\n\r\n")
      #expect(String(decoding: try admin.receiveToEnd(), as: UTF8.self).hasPrefix("HTTP/1.1 200 "))
      for address in ["\(host):8080", "unix:\(path)"] {
        #expect(gateway.waitUntilSaid("using the socket for \(address) that the service manager passed\n"))
      }
      #expect(
        gateway.errors.contains("using the socket for \(host):9901 that the service manager passed, for \"admin\"\n"))
      #expect(
        gateway.errors.contains(
          "gateway.json: listen: unix:\(path): \"mode\" and \"group\" have no effect on a socket that the service manager "
            + "passed; set SocketMode= and SocketGroup= in its unit\n"))
      #expect(gateway.stop() == 0)
      var modeAfter = stat()
      #expect(unsafe stat(path, &modeAfter) == 0 && modeAfter.st_mode == modeBefore.st_mode)
    }
  }

  /// The descriptors of a socket unit without FileDescriptorName= are named after the unit.
  @Test(arguments: [nil, "blnk-gateway.socket", "proxy"])
  func `sockets without a chosen name are those of "listen"`(name: String?) throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let folder = try folder(["listen": ["127.0.0.1:0", "\(host):8080", "\(host):8081"]], core: core.port)
    // systemd-socket-activate gives one name to all sockets.
    let gateway = try start(folder, sockets: ["\(host):8081", "\(host):8080"], names: name) { try knock() }
    for port: UInt16 in [8080, 8081] { #expect(try status(TestSocket(port: port, of: host)) == 200) }
    #expect(gateway.descriptors.values.count { $0.hasPrefix("socket:") } >= 3)
    #expect(gateway.stop() == 0)
  }

  @Test func `the addresses of --listen count, not those of gateway.json`() throws {
    let folder = try folder(["listen": "\(host):8080"])
    let fault = #expect(throws: GatewayProcess.NotStarted.self) {
      _ = try GatewayProcess(
        folder, wrapper: ["/usr/bin/systemd-socket-activate", "-l", "\(host):8080", "-E", "TEST_KEY"],
        arguments: ["--listen", "\(host):8081"],
        whenRun: { _ = eventually { (try? knock()) != nil } })
    }
    #expect(fault?.output.contains("which is not an address of \"listen\" (\(host):8081)") == true)
  }

  /// Opens a socket, passes it to the gateway, keeps it meanwhile as systemd does, and accepts one connection when the
  /// gateway has ended.
  private static let keeper = """
    import os, socket, sys, time
    listener = socket.create_server((sys.argv[1], 8080))
    gateway = os.getpid()
    if os.fork() == 0:
        while os.getppid() == gateway:
            time.sleep(0.02)
        listener.settimeout(30)
        connection = listener.accept()[0]
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nServer: next\\r\\nContent-Length: 0\\r\\n\\r\\n")
        os._exit(0)
    os.dup2(listener.fileno(), 3)
    os.set_inheritable(3, True)
    os.environ.update(LISTEN_FDS="1", LISTEN_FDNAMES="proxy", LISTEN_PID=str(gateway))
    os.execv(sys.argv[2], sys.argv[2:])
    """

  @Test func `connections that come during a drain wait for the next process`() throws {
    let release = DispatchSemaphore(value: 0)
    let core = try ScriptedUpstream { _ in
      _ = release.wait(timeout: .now() + .seconds(TestSocket.patience))
      return .bytes(ScriptedUpstream.json("{}"))
    }
    let gateway = try GatewayProcess(
      try folder(["listen": ["\(host):8080", "127.0.0.1:0"], "timeouts": ["drain_idle_s": 0]], core: core.port),
      wrapper: ["/usr/bin/python3", "-c", Self.keeper, "\(host)"])
    let held = try TestSocket(port: 8080, of: host)
    try held.send(testRequest("GET", Self.target))
    #expect(eventually { core.requests.count == 1 })
    gateway.signal(SIGTERM)
    // Listeners close in order: the passed one is no longer used.
    #expect(eventually { (try? TestSocket(port: gateway.port)) == nil })
    let late = try TestSocket(port: 8080, of: host)
    try late.send(testRequest("GET", Self.target))
    #expect(late.isQuiet(milliseconds: 200))
    release.signal()
    var reader = TestMessageReader(held)
    #expect(try reader.next()?.status == 200)
    #expect(gateway.waitForEnd() == 0)
    var next = TestMessageReader(late)
    #expect(try next.next()?["Server"] == "next")
  }

  @Test func `names the descriptor, its name and address, and the remedy`() throws {
    let packets = try TemporaryFolder()
    let listen: [String: any Sendable] = ["listen": ["127.0.0.1:0", "\(host):8080"], "admin": "\(host):9901"]
    let equal = "or ListenStream= in the socket unit, so that both are equal"
    func expect(
      _ message: String, _ sockets: String..., names: String? = nil, options: [String] = [],
      gateway: [String: any Sendable]? = nil, at location: SourceLocation = #_sourceLocation
    ) throws {
      let refusal = try refusal(gateway ?? listen, sockets: sockets, names: names, options: options)
      #expect(refusal == "error: \(message)", sourceLocation: location)
    }
    try expect(
      "the passed descriptor 3 (name \"proxy\") listens on \(host):8082, which is not an address of \"listen\" "
        + "(127.0.0.1:0, \(host):8080); change \"listen\" in gateway.json or --listen, \(equal)",
      "\(host):8082", names: "proxy")
    try expect(
      "the passed descriptor 3 (name \"unknown\") listens on \(host):9901, the address of \"admin\"; set "
        + "FileDescriptorName=admin in its socket unit",
      "\(host):9901")
    try expect(
      "the passed descriptor 4 (name \"admin\") listens on \(host):8082, which is not the address of \"admin\" "
        + "(\(host):9901); change \"admin\" in gateway.json or --admin, \(equal)",
      "\(host):8080", "\(host):8082", names: "proxy:admin")
    try expect(
      "the passed descriptor 3 (name \"admin\") listens on \(host):9901, but \"admin\" is null in gateway.json; set it "
        + "to this address",
      "\(host):9901", names: "admin", gateway: ["admin": NSNull()])
    try expect(
      "the passed descriptor 3 (name \"metrics\") has a name that the gateway does not know; set "
        + "FileDescriptorName=proxy in the socket unit for an address of \"listen\", or FileDescriptorName=admin for "
        + "that of \"admin\"",
      "\(host):8080", names: "metrics")
    try expect(
      "the passed descriptor 3 (name \"proxy\") listens on @\(host); use an IP address with a port, or the path of a "
        + "file, in ListenStream= of the socket unit",
      "@\(host)", names: "proxy")
    try expect(
      "$LISTEN_FDNAMES (\"proxy:admin:more\") has 3 names for 1 descriptors; name each socket with FileDescriptorName=",
      "\(host):8080", names: "proxy:admin:more")
    try expect(
      "the passed descriptor 3 (name \"proxy\") is not a stream socket; use ListenStream= in the socket unit",
      packets.path("socket"), names: "proxy", options: ["--seqpacket"])
  }
}
