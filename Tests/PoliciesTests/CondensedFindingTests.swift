import Testing

@testable import Policies

@Suite struct CondensedFindingTests {
  @Test func `names a few of many notes and their number`() throws {
    let clients = (0..<1000).map { #""c\#($0)": {"scopes": ["proxy:read"], "instances": ["*"]}"# }
    let result = try FolderFiles(["clients.json": "{\"clients\": {\(clients.joined(separator: ",\n"))}}"]).load()
    #expect(result.findings.count == 1000)
    #expect(
      result.findings.lines == [
        "policies/clients.json:1: note: clients.c0.instances: grants all instances, including those added later",
        "policies/clients.json:2: note: clients.c1.instances: grants all instances, including those added later",
        "policies/clients.json:3: note: clients.c2.instances: grants all instances, including those added later",
        "policies/clients.json: note: clients.*.instances: 997 more of these (`blnk-gateway check --json` lists all)",
      ])
  }

  @Test(arguments: [(Finding.Severity.error, 21, 20), (.warning, 4, 3), (.note, 4, 3)])
  func `shows all unless they are too many, each kind for itself`(
    severity: Finding.Severity, shownMax: Int, keptMax: Int
  ) {
    let others = [Finding(.error, file: "a", keyPath: "x", message: "is wrong")]
    for count in [1, shownMax, shownMax + 1, 1000] {
      let findings = (0..<count).map { index in
        Finding(severity, file: "f\(index % 3)", keyPath: "k.\(index)", keyPattern: "k.*", message: "is so")
      }
      let lines = (findings + others).lines
      #expect(lines.count == (count <= shownMax ? count : keptMax + 1) + 1)
      #expect(lines.last == "a: x: is wrong")
      #expect(lines.dropLast().last?.contains("\(count - keptMax) more of these") == (count > shownMax))
      if count == 1000 { #expect(lines[keptMax].contains(" and 2 more files: ")) }
    }
    #expect([Finding]().lines.isEmpty)
  }

  @Test func `looks for the nearest name for the first unknown ones only`() throws {
    let clients = (0..<50).map { #""c\#($0)": {"scopes": [], "instances": ["inst_dem0"]}"# }
    let findings = try FolderFiles(["clients.json": "{\"clients\": {\(clients.joined(separator: ","))}}"]).load()
      .findings
    #expect(findings.count { $0.message.contains("did you mean \"inst_demo\"?") } == 20 && findings.count == 50)
  }
}
