package page

import (
	"fmt"
	"html"
	"strconv"
	"strings"
)

// sheet writes the HTML of a page. It does so without html/template, for which the
// linker keeps every method of every AWS client: that is two megabytes of each
// archive (docs/decisions/0009). Whatever comes from outside goes through add,
// which escapes it; values stand in text and between double quotes only.
type sheet struct {
	strings.Builder
	words    words
	language string
}

// add writes a format whose values are escaped.
func (s *sheet) add(format string, values ...string) {
	escaped := make([]any, len(values))
	for i, v := range values {
		escaped[i] = html.EscapeString(v)
	}
	fmt.Fprintf(s, format, escaped...)
}

// some writes a format with one value, unless that is empty.
func (s *sheet) some(format, value string) {
	if value != "" {
		s.add(format, value)
	}
}

// begin writes the page to the end of its text.
func (s *sheet) begin(text Text, d Data) {
	s.add("<!DOCTYPE html>\n<html lang=\"%s\">\n<head>\n", s.language)
	s.WriteString(`<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
`)
	s.add("<title>%s", text.Title)
	s.some(" · %s", d.Controller)
	s.WriteString("</title>\n<style>" + style + "</style>\n</head>\n<body>\n<main>\n")
	s.some("<p class=\"who\">%s</p>\n", d.Controller)
	s.add("<h1>%s</h1>\n", text.Title)
	s.some("<p class=\"what\">%s</p>\n", s.words.types[d.Type])
	for _, line := range text.Lines {
		s.add("<p>%s</p>\n", line)
	}
	if len(d.Items) > 0 {
		s.WriteString("<ul>\n")
		for _, item := range d.Items {
			s.add("<li>%s</li>\n", item)
		}
		s.WriteString("</ul>\n")
	}
}

// said tells what became of choices.
func (s *sheet) said(d Data) {
	outcome := s.words.centre.outcomes[d.Outcome]
	if outcome == "" {
		return
	}
	s.add("<div class=\"said\" role=\"status\"><p>%s</p>\n", outcome)
	if len(d.Chosen) > 0 {
		s.WriteString("<ul>\n")
		for _, c := range d.Chosen {
			s.add("<li>%s%s</li>\n", strings.TrimSuffix(c.Purpose, "."), s.words.centre.is(c.On))
		}
		s.WriteString("</ul>\n")
	}
	s.WriteString("</div>\n")
}

// switches writes the form of the preference centre.
func (s *sheet) switches(d Data) {
	if len(d.Switches) == 0 {
		return
	}
	c := s.words.centre
	s.WriteString("<form method=\"post\">\n")
	s.hidden(d.Hidden)
	s.add("<fieldset>\n<legend>%s</legend>\n", c.Legend)
	for i, one := range d.Switches {
		n := strconv.Itoa(i)
		s.add(`<div class="switch">
<input type="checkbox" role="switch" id="s%s" aria-describedby="d%s"`, n, n)
		if !one.Fixed {
			s.add(` name="on" value="%s"`, one.Key)
		}
		if one.On {
			s.WriteString(" checked")
		}
		if one.Fixed {
			s.WriteString(" disabled")
		}
		s.add(`>
<div><label for="s%s">%s</label>
<p id="d%s">%s</p></div>
</div>
`, n, one.Purpose, n, s.words.state(one))
	}
	s.add(`</fieldset>
<p class="buttons"><button type="submit" name="action" value="%s">%s</button>
<button type="submit" name="action" value="%s" class="other">%s</button></p>
</form>
`, ActSave, c.Save, ActRefuse, c.Refuse)
}

// button writes the one button of the other pages.
func (s *sheet) button(text Text, d Data) {
	if text.Button == "" {
		return
	}
	s.add("<form method=\"post\">\n<input type=\"hidden\" name=\"action\" value=\"%s\">\n", text.Action)
	s.hidden(d.Hidden)
	s.add("<button type=\"submit\">%s</button>\n</form>\n", text.Button)
}

func (s *sheet) hidden(fields []Field) {
	for _, f := range fields {
		s.add("<input type=\"hidden\" name=\"%s\" value=\"%s\">\n", f.Name, f.Value)
	}
}

func (s *sheet) end(text Text, d Data) {
	s.some("<p class=\"after\">%s</p>\n", text.After)
	s.WriteString("</main>\n")
	if d.Contact != "" {
		s.add("<footer><p>%s <a href=\"mailto:%s\">%s</a></p></footer>\n", s.words.write, d.Contact, d.Contact)
	}
	s.WriteString("</body>\n</html>\n")
}
