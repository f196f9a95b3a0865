import FoundationEssentials
import Gateway
import System

/// Talks to the running gateway about its journal, through its admin endpoint: the files belong to the gateway alone.
struct JournalClient {
  static let options = AdminClient.options

  private let admin: AdminClient

  init(_ arguments: Arguments, for command: String) throws(CommandFault) {
    admin = try AdminClient(arguments, for: command)
  }

  /// Keys that match.
  ///
  /// - Parameter query: names and values; those without a value are left out.
  func list(_ query: [(String, String?)]) throws(CommandFault) -> JournalKeyList {
    let response = try admin.send("GET", "/idempotency?\(AdminClient.form(query))", body: nil)
    guard response.status == 200 else { throw admin.fault(response) }
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    guard let list = try? decoder.decode(JournalKeyList.self, from: Data(response.body)) else {
      throw admin.notThisVersion
    }
    return list
  }

  /// Changes keys.
  ///
  /// - Returns: what the gateway has done.
  func change(_ form: [(String, String?)]) throws(CommandFault) -> String {
    let response = try admin.send("POST", "/idempotency", body: AdminClient.form(form + [("user", currentUserName)]))
    guard response.status == 200 else { throw admin.fault(response) }
    return AdminClient.line(response)
  }
}
