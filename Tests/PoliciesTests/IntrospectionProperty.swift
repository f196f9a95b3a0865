import Bytes
import Foundation

@testable import Policies

/// What holds for any answer of an introspection endpoint.
enum IntrospectionProperty {
  struct Broken: Error {
    let what: String
  }

  /// It is a fault, or says what Foundation reads in it.
  static func check(_ bytes: [UInt8]) throws {
    let answer: IntrospectionAnswer?
    do throws(IntrospectionFault) {
      answer = try IntrospectionAnswer.read(bytes)
    } catch {
      if error.message.isEmpty { throw Broken(what: "a fault without a message") }
      return
    }
    let object = try? JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any]
    // Foundation rejects a number beyond a Double's range, in a member that decides nothing.
    guard let object else { return }
    guard object["active"] as? Bool == (answer != nil) else { throw Broken(what: "active is read differently") }
    guard let answer else { return }
    for (key, text) in [("client_id", answer.clientID), ("sub", answer.subject), ("iss", answer.issuer)]
    where (object[key] as? String).map({ Array($0.utf8) }) != text.map({ Array($0.utf8) }) {
      throw Broken(what: "\(key) is read differently")
    }
    let audiences = object["aud"] as? [String] ?? (object["aud"] as? String).map { [$0] }
    guard audiences?.map({ Array($0.utf8) }) == answer.audiences?.map({ Array($0.utf8) }) else {
      throw Broken(what: "aud is read differently")
    }
    guard (object["exp"] is NSNumber) == (answer.expiry != nil) else { throw Broken(what: "exp is lost") }
    guard !answer.scopes.contains(where: { $0.utf8.isEmpty }) else { throw Broken(what: "an empty scope") }
    let provider = IntrospectionProvider(
      name: "a", url: "https://a", clientID: "a", clientSecret: Secret([]), caBundle: nil)
    let times: [Int64] = [.min / 2, 0, 1_800_000_000, .max / 2]
    for time in times {
      guard (try? answer.check(provider, at: UnixSeconds(time))) != nil else { continue }
      if let expiry = answer.expiry, expiry <= time { throw Broken(what: "accepted after its exp") }
    }
  }
}
