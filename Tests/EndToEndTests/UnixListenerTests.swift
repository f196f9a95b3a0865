import Foundation
import Gateway
import Glibc
import TestFolders
import TestSupport
import Testing

/// Listeners on Unix sockets, for proxies on the same machine.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct UnixListenerTests {
  private func mode(of path: String) -> UInt32? {
    var status = stat()
    return unsafe lstat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
  }

  @Test func `a socket file has its mode and group from the beginning, and is removed when the gateway ends`() throws {
    try withTemporaryFolder { folder in
      let (path, admin) = (folder.path("http.sock"), folder.path("admin.sock"))
      let listener: [String: any Sendable] = ["address": "unix:\(path)", "mode": "0660", "group": Int(getegid())]
      let gateway = try GatewayProcess(
        TestPolicyFolder(
          instances: [("one", "http://127.0.0.1:1")],
          gateway: ["listen": ["127.0.0.1:0", listener] as [any Sendable], "admin": "unix:\(admin)"]))
      #expect(gateway.waitUntilSaid("admin endpoint on unix:\(admin)"))
      #expect(mode(of: path) == 0o660 && mode(of: admin) != nil)
      #expect(gateway.stop() == 0)
      #expect(mode(of: path) == nil && mode(of: admin) == nil)
    }
  }

  @Test func `a group that does not exist is reported, and no socket file is left`() throws {
    try withTemporaryFolder { folder in
      let (first, second) = (folder.path("first.sock"), folder.path("second.sock"))
      let listeners: [any Sendable] = [
        "127.0.0.1:0", "unix:\(first)",
        ["address": "unix:\(second)", "mode": "0660", "group": "no-such-group"] as [String: any Sendable],
      ]
      let fault = #expect(throws: StartFault.self) {
        _ = try RunningGateway(upstreams: [("one", 1)], gateway: ["listen": listeners])
      }
      #expect(
        fault?.description
          == "gateway.json: listen: unix:\(second): \"group\": there is no group \"no-such-group\" on this machine; "
          + "create it, or use another name or a number")
      #expect(mode(of: first) == nil && mode(of: second) == nil)
    }
  }
}
