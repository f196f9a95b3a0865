import Foundation
import TestFolders

/// A CA and certificates in a temporary folder.
package struct TestAuthority: Sendable {
  package static let openssl = "/usr/bin/openssl"

  package var folder: String { files.path }
  private let files: TemporaryFolder

  package static let shared: TestAuthority? = {
    let authority = TestAuthority()
    guard let authority else {
      print("TLS tests are skipped: openssl(1) is not installed, or makes no certificates")
      return nil
    }
    return authority
  }()

  private init?() {
    guard let files = try? TemporaryFolder() else { return nil }
    self.files = files
    let isMade =
      makeRoot("ca") && makeRoot("other-ca")
      && makeLeaf("good", "core.test", ["-days", "2"])
      && makeLeaf("client", "gateway", ["-days", "2"])
      && makeLeaf("expired", "core.test", ["-days", "-1"])
    guard isMade else { return nil }
  }

  private func makeRoot(_ name: String) -> Bool {
    openssl([
      "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
      "/CN=\(name)",
      "-keyout", "\(folder)/\(name).key", "-out", "\(folder)/\(name).pem",
    ])
  }

  private func makeLeaf(_ name: String, _ host: String, _ days: [String]) -> Bool {
    let request = "\(folder)/\(name).csr"
    try? "subjectAltName=DNS:\(host)\n".write(toFile: "\(folder)/\(name).ext", atomically: true, encoding: .utf8)
    return openssl([
      "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=\(host)",
      "-keyout", "\(folder)/\(name).key", "-out", request,
    ])
      && openssl(
        [
          "x509", "-req", "-in", request, "-CA", "\(folder)/ca.pem", "-CAkey", "\(folder)/ca.key", "-CAcreateserial",
          "-extfile", "\(folder)/\(name).ext", "-out", "\(folder)/\(name).pem",
        ] + days)
  }

  private func openssl(_ arguments: [String]) -> Bool {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: Self.openssl)
    process.arguments = arguments
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }
}
