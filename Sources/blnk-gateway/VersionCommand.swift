import Gateway

extension Command {
  static let version = Command(
    name: "version", summary: "print the version", usage: "[--json]",
    description: """
      Prints the program's version, the commit and the version of Swift that it was built
      from, and two versions of libcurl: that of the build, and that of the library that
      this machine has. The commit is "unknown" unless deploy/build built the program.
      """,
    options: [Option(name: "--json", value: nil, help: "print a JSON object")],
    exitCodes: [0: "success"],
    example: "blnk-gateway version --json"
  ) { arguments throws(CommandFault) in
    let report = VersionReport()
    try Console.print(arguments.isSet("--json") ? Console.json(report) : report.text)
    return 0
  }
}

private struct VersionReport: Encodable {
  struct Libcurl: Encodable {
    let linked: String
    let running: String
  }

  let name = "blnk-gateway"
  let version = gatewayVersion
  let commit = Build.commit
  let swift = Build.swift
  let libcurl = Libcurl(linked: Build.libcurlLinked, running: Build.libcurlRunning)

  var text: String {
    """
    \(name) \(version)
    commit \(commit)
    Swift \(swift)
    libcurl \(libcurl.running), built with \(libcurl.linked)
    """
  }
}
