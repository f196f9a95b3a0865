import Digests
import Policies

extension Command {
  private static let graceDefault = "24h"

  static let tokenRotate = Command(
    name: "token rotate", summary: "issue a new token, and let the old one expire after a grace period",
    usage: "--client ID [OPTIONS]",
    description: """
      Adds a new token to the client's entry and lets the old one expire after the
      grace period, or at its existing expiry if that is sooner. Until then, both
      work, so that the holder can switch. The new token has the note, the expiry and
      the instances of the old one, unless --note or --expires is given. Waits up to
      5 s for the running gateway to apply the change.

      Prints the new token on standard output, once. Everything else goes to standard
      error.
      """,
    options: [
      Option(name: "--client", value: "ID", help: "the client"),
      Option(
        name: "--digest", value: "PREFIX",
        help: "the first 4 to 64 digits of the old token's digest; required if the client has several active tokens"),
      Option(
        name: "--grace", value: "DURATION", help: "how long the old token still works: 30m, 12h, 7d (default: 24h)"),
      .note,
      Option(
        name: "--expires", value: "WHEN",
        help: "when the new one expires, as in \"token new\" (default: as the old one)"),
      .policies,
    ] + InForceCheck.options,
    exitCodes: InForceCheck.exitCodes,
    example: "blnk-gateway token rotate --client demo-app --grace 7d",
    noOperandsReason: "takes no arguments; name the client with --client ID"
  ) { arguments throws(CommandFault) in
    let id = try arguments.clientID(of: "token rotate")
    guard let grace = Lifetime(arguments.value("--grace") ?? graceDefault) else {
      throw .usage("token rotate: --grace \(Lifetime.rule)")
    }
    let prefix = try arguments.value("--digest").map { text throws(CommandFault) in
      try DigestPrefix(text, for: "token rotate")
    }
    let session = try PolicyEditSession(arguments, for: "token rotate")
    let client = try session.client(id)
    let now = UnixSeconds.now
    let match = try prefix?.onlyMatch(in: [client], for: "token rotate").token
    let old = if let match { match } else { try client.onlyActive(at: now) }
    guard client.state(of: old, at: now) == .active else {
      throw .failed("token rotate: \(id)'s token \(old.digest.hex.prefix(12)) is not active; use \"token new\"")
    }
    let token = Token.mint()
    let new = try NewToken(token, arguments, note: old.note, expiry: old.expiry, for: "token rotate")
    let graceEnd = UnixSeconds(now.rawValue + grace.seconds)
    let end = min(old.expiry ?? graceEnd, graceEnd)
    let edit = client.replacing(old, with: new, endingAt: end)
    try session.write(edit)
    try Console.print(token.text)
    Console.log(
      "A new token for \(id), shown only this once; it \(new.expiryText). "
        + "The old one, \(old.digest.hex.prefix(12)), expires at \(end).")
    Console.log(
      try session.waitUntilInForce(
        edit,
        recording: [("client", id), ("token_sha256", token.digest.logged), ("replaces", old.digest.logged)]))
    return 0
  }
}

extension ClientEntry {
  fileprivate func onlyActive(at now: UnixSeconds) throws(CommandFault) -> ListedToken {
    let active = tokens.filter { token in state(of: token, at: now) == .active }
    guard let first = active.first else {
      throw .failed("token rotate: \(id) has no active token; use \"token new --client \(id)\"")
    }
    guard active.count == 1 else {
      let names = active.map { token in token.digest.hex.prefix(12) }.joined(separator: ", ")
      throw .failed("token rotate: \(id) has \(active.count) active tokens: \(names); choose one with --digest")
    }
    return first
  }
}
