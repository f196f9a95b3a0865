import Bytes
import Digests
import OAuth

/// The status page: one HTML document with everything in it, complete without JavaScript.
enum StatusPage {
  /// Of each table.
  static let rowsMax = 100

  /// What a browser may do with the page: run its script, apply its style, and read its events.
  static let fields: [(name: String, value: String)] = [
    (
      "Content-Security-Policy",
      "default-src 'none'; script-src \(source(script)); style-src \(source(style)); connect-src 'self'; "
        + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        + "trusted-types 'none'"
    ), ("Referrer-Policy", "no-referrer"), ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
  ]

  /// The hash by which a browser recognizes an inline script or style (CSP 3 §2.3.1).
  private static func source(_ text: String) -> String {
    let words = SHA256.digest(of: text.utf8Span.span).words
    let bytes = [words.0, words.1, words.2, words.3].flatMap { word in
      (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) }
    }
    return "'sha256-\(String(decoding: Base64URL.encode(bytes.span), as: UTF8.self))='"
  }

  static func html(_ view: StatusView) -> [UInt8] {
    var html = """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width">
      <title>Blnk gateway</title>
      <style>\(style)</style>
      </head>
      <body>
      <header>
      <h1>Blnk gateway</h1>
      <p id="live" role="status">As of \(escaped(view.at))</p>
      <p id="span">\(view.span)</p>
      <button id="pause" type="button" hidden>Pause</button>
      </header>
      <main>
      <noscript><p>Without JavaScript, this page shows one moment: reload it.</p></noscript>
      \(list(view.facts, id: "facts"))

      """
    for table in view.tables { html += section(table) }
    html +=
      "<h2>Details</h2>\n\(list(view.details, id: "details"))\n</main>\n<script>\(script)</script>\n</body>\n</html>\n"
    return Array(html.utf8)
  }

  private static func list(_ facts: [StatusView.Fact], id: String) -> String {
    let items = facts.map { fact in
      "<li><span>\(fact.name)</span> <b class=\"\(fact.cell.tone.rawValue)\">\(escaped(fact.cell.text))</b></li>"
    }
    return "<ul id=\"\(id)\">\n\(items.joined(separator: "\n"))\n</ul>"
  }

  private static func section(_ table: StatusView.Table) -> String {
    let id = table.id
    let columns = table.columns.map { "<th scope=\"col\"\($0.isNumber ? " class=\"n\"" : "")>\($0.name)</th>" }
    var html = """
      <section id="\(id)" aria-labelledby="h-\(id)"\(table.isShown ? "" : " hidden")>
      <h2 id="h-\(id)">\(table.title)</h2>
      <p>\(escaped(table.note))</p>
      <div role="region" aria-labelledby="h-\(id)" tabindex="0">
      <table aria-labelledby="h-\(id)">
      <thead><tr>\(columns.joined())</tr></thead>
      <tbody>

      """
    for row in table.rows {
      html += "<tr>"
      for (index, cell) in row.enumerated() {
        let name = index == 0 ? "th scope=\"row\"" : "td"
        let number = table.columns[index].isNumber ? " n" : ""
        html += "<\(name) class=\"\(cell.tone.rawValue)\(number)\">\(escaped(cell.text))</\(index == 0 ? "th" : "td")>"
      }
      html += "</tr>\n"
    }
    return html + "</tbody>\n</table>\n</div>\n</section>\n"
  }

  /// The text as content of an element or of an attribute in double quotes.
  static func escaped(_ text: String) -> String {
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "&"): bytes += "&amp;".utf8
      case UInt8(ascii: "<"): bytes += "&lt;".utf8
      case UInt8(ascii: ">"): bytes += "&gt;".utf8
      case UInt8(ascii: "\""): bytes += "&quot;".utf8
      case UInt8(ascii: "'"): bytes += "&#39;".utf8
      // U+0000 and other control bytes have no place in HTML.
      case 0..<0x20, 0x7f: bytes += "\u{fffd}".utf8
      default: bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
