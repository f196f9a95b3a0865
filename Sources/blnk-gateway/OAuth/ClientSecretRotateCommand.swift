import Digests
import Policies

extension Command {
  private static let graceDefault = "24h"

  static let clientSecretRotate = Command(
    name: "client secret rotate", summary: "issue a new client secret, and let the old ones expire after a while",
    usage: "--client ID [OPTIONS]",
    description: """
      Adds a new client secret to the client's entry and lets its active ones expire
      after the grace period, or at their existing expiry if that is sooner. Until then,
      all work, so that the app can switch. The new secret has the note and the
      expiry of the last active one, unless --note or --expires is given. Waits up to
      5 s for the running gateway to apply the change.

      Access tokens and refresh tokens are not affected.

      Prints the new secret on standard output, once. Everything else goes to standard
      error.
      """,
    options: [
      Option(name: "--client", value: "ID", help: "the client"),
      Option(
        name: "--grace", value: "DURATION", help: "how long the old secrets still work: 30m, 12h, 7d (default: 24h)"),
      .note,
      Option(
        name: "--expires", value: "WHEN",
        help: "when the new one expires, as in \"client secret new\" (default: as the old one)"),
      .policies,
    ] + InForceCheck.options,
    exitCodes: InForceCheck.exitCodes,
    example: "blnk-gateway client secret rotate --client shop --grace 7d",
    noOperandsReason: "takes no arguments; name the client with --client ID"
  ) { arguments throws(CommandFault) in
    let command = "client secret rotate"
    let id = try arguments.clientID(of: command)
    guard let grace = Lifetime(arguments.value("--grace") ?? graceDefault) else {
      throw .usage("\(command): --grace \(Lifetime.rule)")
    }
    let session = try PolicyEditSession(arguments, for: command)
    let client = try session.client(id)
    let now = UnixSeconds.now
    let active = client.secrets.filter { secret in client.state(of: secret, at: now) == .active }
    guard let last = active.last else {
      throw .failed("\(command): \(id) has no active client secret; use \"client secret new --client \(id)\"")
    }
    try client.requireRoomForSecret(command)
    let secret = Token.mint(.clientSecret)
    let new = try NewToken(secret, arguments, note: last.note, expiry: last.expiry, for: command)
    let end = UnixSeconds(now.rawValue + grace.seconds)
    let edit = client.adding(secret: new, ending: active, at: end)
    try session.write(edit)
    try Console.print(secret.text)
    let ends = active.map { old in "\(old.digest.hex.prefix(12)) at \(min(old.expiry ?? end, end))" }
    Console.log("A new client secret for \(id), shown only this once; it \(new.expiryText).")
    Console.log("These expire: \(ends.joined(separator: ", ")).")
    Console.log(
      try session.waitUntilInForce(
        edit,
        recording: [
          ("client", id), ("secret_sha256", secret.digest.logged),
          ("replaces", active.map(\.digest.logged).joined(separator: " ")),
        ]))
    return 0
  }
}
