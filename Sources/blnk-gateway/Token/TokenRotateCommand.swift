import Digests
import Policies

extension Command {
  private static let graceDefault = "24h"

  static let tokenRotate = Command(
    name: "token rotate", abstract: "puts a new token beside a client's old one, which ends",
    lesson: """
      Prints a new token, once, puts its digest into the client's entry, and gives the old one an end, after which it is not
      let in any more; an earlier end stays. Both work in between, so that the holder can change over. The new one takes
      the note and the end of the old, unless --note or --expires says otherwise. With several active tokens --digest says
      which is the old one. It waits until the running gateway has this in force, as "token new" does.

        blnk-gateway token rotate --client demo-app --grace 7d
      """,
    flags: [
      .policies, .client, .digest,
      Flag(name: "--grace", value: "DURATION", about: "how long the old one still works: 30m, 12h, 7d (else 24h)"),
      .note, .expires,
    ] + InForce.flags,
    operandsRefused: "takes no arguments; the client is named with --client ID"
  ) { arguments throws(CommandFault) in
    guard let id = arguments.value("--client") else { throw .usage("token rotate: needs --client ID; see --help") }
    guard let grace = Lifetime(arguments.value("--grace") ?? graceDefault) else {
      throw .usage("token rotate: --grace \(Lifetime.rule)")
    }
    let prefix = try arguments.value("--digest").map { text throws(CommandFault) in
      try DigestPrefix(text, for: "token rotate")
    }
    let editing = try TokenEditing(arguments, for: "token rotate")
    let client = try editing.client(id)
    let now = UnixSeconds.now
    let named = try prefix?.one(in: [client], for: "token rotate").token
    let old = if let named { named } else { try client.onlyActive(at: now) }
    guard client.state(of: old, at: now) == .active else {
      throw .failed("token rotate: \(id)'s token \(old.digest.hex.prefix(12)) is not active; use \"token new\"")
    }
    var generator = SystemRandomNumberGenerator()
    let token = Token.mint(using: &generator)
    let new = try NewToken(token, arguments, note: old.note, expiry: old.expiry, for: "token rotate")
    let asked = UnixSeconds(now.rawValue + grace.seconds)
    let end = min(old.expiry ?? asked, asked)
    let edit = client.replacing(old, with: new, endingAt: end)
    try editing.write(edit)
    try Console.print(token.text)
    let newEnd = new.expiry.map { "ends at \($0)" } ?? "never ends"
    Console.note(
      "This is \(id)'s new token, shown this once; it \(newEnd). The old one, \(old.digest.hex.prefix(12)), ends at \(end)."
    )
    Console.note(try editing.settle(edit))
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
      throw .failed("token rotate: \(id) has \(active.count) active tokens: \(names); say which with --digest")
    }
    return first
  }
}
