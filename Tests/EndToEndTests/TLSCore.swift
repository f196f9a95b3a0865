import Foundation
import LoopSupport
import TestFolders
import TestSupport

/// A Core over TLS, run by Python's ssl module. The last path segment selects how a response ends.
///
/// `/ended`: no length, close_notify. `/torn`: no length, FIN without close_notify. `/counted`: Content-Length, FIN without
/// close_notify. Anything else: Content-Length, kept alive.
final class TLSCore: Sendable {
  let port: UInt16
  private let process = Process()
  private let folder: TemporaryFolder

  struct NotStarted: Error {}

  static let isAtHand: Bool = {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["python3", "-c", "import ssl"]
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }()

  /// - Parameter ticketsBehind: bytes to receive after the ClientHello before finishing the handshake, which sends the
  ///   session tickets; 0: immediately. A client that pauses for 0.1 s gets them, too.
  init(_ authority: TestAuthority, ticketsBehind: Int = 0) throws {
    let fixtures = try Fixtures.ofTest()
    folder = try TemporaryFolder()
    try folder.write(Self.script, to: "core.py")
    let output = Pipe()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [
      "python3", folder.path("core.py"), "\(authority.folder)/good.pem", "\(authority.folder)/good.key",
      "\(ticketsBehind)",
    ]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    try process.run()
    // The port, in one short write.
    let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
    guard let port = UInt16(line.trimmingCharacters(in: .newlines)) else { throw NotStarted() }
    self.port = port
    fixtures.add(stop: stop)
  }

  /// A policy folder whose instance `one` is this Core.
  func policyFolder(
    _ authority: TestAuthority, instance: [String: any Sendable] = [:], gateway: [String: any Sendable] = [:]
  ) throws -> TestPolicyFolder {
    let tls: [String: any Sendable] = ["ca_file": "\(authority.folder)/ca.pem", "server_name": "core.test"]
    return try TestPolicyFolder(
      instances: [("one", "https://127.0.0.1:\(port)")], instance: instance.merging(["tls": tls]) { $1 },
      gateway: gateway)
  }

  @Sendable private func stop() {
    // A process started from a Dispatch thread may block SIGTERM.
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }

  private static let script = """
    import socket, ssl, sys, threading, time

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(listener.getsockname()[1], flush=True)

    def length(head):
        for line in head.split(b"\\r\\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                return int(value)
        return 0

    def serve(connection):
        received = b""
        while more := connection.recv(65536):
            received += more
            head, mark, body = received.partition(b"\\r\\n\\r\\n")
            if not mark or len(body) < length(head):
                continue
            received = b""
            path = head.split(b" ")[1].split(b"?")[0]
            if path.endswith((b"/ended", b"/torn")):
                connection.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\nto the end")
            else:
                connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
            if path.endswith(b"/ended"):
                connection.unwrap()
            # Without unwrap(), close() sends no close_notify.
            if path.endswith((b"/ended", b"/torn", b"/counted")):
                return

    class Late:
        def __init__(self, raw, behind):
            self.raw, self.incoming, self.outgoing = raw, ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
            self.incoming.write(raw.recv(65536))
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
            raw.sendall(self.outgoing.read())
            held = b""
            raw.settimeout(0.1)
            try:
                while len(held) < behind and (more := raw.recv(65536)):
                    held += more
            except TimeoutError:
                pass
            raw.settimeout(None)
            # Lets the gateway go idle first.
            time.sleep(0.1)
            self.incoming.write(held)
            self.tls.do_handshake()
            raw.sendall(self.outgoing.read())

        def recv(self, count):
            while True:
                try:
                    return self.tls.read(count)
                except ssl.SSLWantReadError:
                    more = self.raw.recv(65536)
                    if not more:
                        return b""
                    self.incoming.write(more)

        def sendall(self, data):
            self.tls.write(data)
            self.raw.sendall(self.outgoing.read())

    def begin(raw):
        try:
            with raw:
                if behind := int(sys.argv[3]):
                    return serve(Late(raw, behind))
                with context.wrap_socket(raw, server_side=True) as connection:
                    serve(connection)
        except OSError:
            pass

    while True:
        raw, _ = listener.accept()
        threading.Thread(target=begin, args=(raw,), daemon=True).start()

    """
}
