import Audit
import FoundationEssentials
import OAuth
import Policies
import System

extension Command {
  static let oauthCode = Command(
    name: "oauth code", summary: "issue an authorization code to an app, in place of a login page",
    usage: "--client ID --authorize-url URL [OPTIONS]",
    description: """
      For apps that open a login page to get access (authorization code flow). The
      gateway has no login page: the app's user sends you the URL that the app has
      opened, and you send back the URL that this command prints. Opening it completes
      the app's login.

      Checks that the URL names this client, one of its "redirect_uris" exactly, and
      no scope that the client does not have. Warns if the URL has no state or no
      code_challenge (PKCE).

      The code works once, for 60 s, and only for the app that has the client secret.
      Reads the policy folder with its keys, as "serve" does, and records the code in
      the audit log, if there is one, before it prints it.

      Prints the URL to open on standard output, everything else on standard error.
      """,
    options: [
      Option(name: "--client", value: "ID", help: "the client that the app belongs to"),
      Option(name: "--authorize-url", value: "URL", help: "the URL that the app has opened, in quotes"), .policies,
      .state, Option(name: "--json", value: nil, help: "print a JSON object instead of the URL"),
    ],
    exitCodes: [0: "success", 1: "no code was issued"],
    example: """
      blnk-gateway oauth code --client shop --authorize-url \\
        'https://gateway.example/oauth/authorize?response_type=code&client_id=shop&redirect_uri=…'
      """,
    noOperandsReason: "takes no arguments; pass the URL with --authorize-url, in quotes because of its &"
  ) { arguments throws(CommandFault) in
    let client = try arguments.clientID(of: command)
    guard let url = arguments.value("--authorize-url") else {
      throw .usage("\(command): needs --authorize-url URL; see --help")
    }
    let folder = try PolicyFolder(arguments)
    let result = folder.load()
    guard let policy = result.policy else {
      for line in result.findings.lines { Console.log(line) }
      throw .failed("\(folder.path): the policy is invalid")
    }
    let request = try request(url)
    let issued = try issue(request, client, policy, folder)
    try record(issued, client, policy.settings)
    let warnings = request.warnings
    for warning in warnings { Console.log("warning: \(warning)") }
    if arguments.isSet("--json") {
      try Console.print(
        Console.json(
          Report(
            callback: issued.callback, client: client, code: issued.code, expires: issued.expiresAt.description,
            redirectUri: request.redirectURI, scope: issued.scope, warnings: warnings)))
    } else {
      try Console.print(issued.callback)
    }
    Console.log(
      "\(client) gets the scope \"\(issued.scope)\" if its user opens this URL by \(issued.expiresAt), once.")
    return 0
  }

  private static let command = "oauth code"

  private static func request(_ url: String) throws(CommandFault) -> AuthorizationRequest {
    do throws(OAuthError) {
      return try AuthorizationRequest(url: url)
    } catch {
      throw .failed("\(command): --authorize-url: \(error.description) Copy the whole URL, in quotes because of its &.")
    }
  }

  private static func issue(
    _ request: AuthorizationRequest, _ client: String, _ policy: Policy, _ folder: PolicyFolder
  ) throws(CommandFault) -> IssuedCode {
    do throws(CodeRefusal) {
      return try policy.issueCode(for: request, client: client, at: .now)
    } catch {
      throw .failed("\(command): \(folder.path): \(error.message)")
    }
  }

  /// Fails closed: a code that is not in the audit log is not printed.
  private static func record(
    _ issued: IssuedCode, _ client: String, _ settings: GatewaySettings
  ) throws(CommandFault) {
    guard case .file(let path) = settings.auditLog else { return }
    var entry = AuditGrant(requestIDHigh: .random(in: 1...UInt64.max), requestIDLow: .random(in: 0...UInt64.max))
    entry.event = .issued
    entry.client = Array(client.utf8)
    entry.grantType = "authorization_code"
    entry.scope = issued.scope
    entry.grantID = issued.grant.hex
    entry.user = currentUserName
    do throws(AuditFault) {
      try AuditLog.append(entry, to: path, key: settings.auditKey?.reveal())
    } catch {
      throw .failed(
        "\(command): audit_log: \(error); a code must be recorded there: run this command next to a running gateway, "
          + "as a user who may write its audit log")
    }
  }

  private struct Report: Encodable {
    let callback: String
    let client: String
    let code: String
    let expires: String
    let redirectUri: String
    let scope: String
    let warnings: [String]
  }
}

extension AuthorizationRequest {
  /// What the app does less securely than it could.
  fileprivate var warnings: [String] {
    var warnings: [String] = []
    if state == nil {
      warnings.append(
        "the URL has no state, so the app may accept a callback that it did not ask for (RFC 6749 §10.12)")
    }
    if challenge == nil {
      warnings.append(
        "the URL has no code_challenge, so a stolen code can be used by anyone with the client secret; turn on PKCE in "
          + "the app (RFC 9700 §2.1.1)")
    }
    return warnings
  }
}
