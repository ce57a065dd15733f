// Command verify checks offline what Avow gives away: the certificate of an
// erasure, and a package. See verify -h.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/avow-consent/avow/internal/certificate"
)

const help = `usage: go run ./scripts/verify CERTIFICATE.json -key KEYS.json
       go run ./scripts/verify PACKAGE.zip [-digest SHA256]

Checks offline; nothing is sent anywhere.

A certificate of an erasure: that it is in canonical form (RFC 8785), that it is
the one whose SHA-256 was signed, and that the signature is one of a key in
KEYS.json. That file is what GET /keys answers; get it from the company itself,
not from whoever gave you the certificate.

A package: that every file is the one that its manifest.json names, by size and
SHA-256, and that none is missing or was added; with -digest, that the package is
the one of which the log of the request has the SHA-256.

Exit status: 0 it is right, 1 it is not, 2 it could not be checked.
`

// The exit statuses.
const (
	right = iota
	wrong
	unchecked
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, out, complaints io.Writer) int {
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	flags.SetOutput(complaints)
	flags.Usage = func() { fmt.Fprint(complaints, help) }
	keys := flags.String("key", "", "")
	digest := flags.String("digest", "", "")
	var file string
	for rest := args; ; rest = flags.Args()[1:] { // flags may stand before and behind the file
		if err := flags.Parse(rest); errors.Is(err, flag.ErrHelp) {
			return right
		} else if err != nil {
			return unchecked
		}
		if flags.NArg() == 0 {
			break
		}
		if file != "" {
			fmt.Fprintln(complaints, "verify: one file at a time")
			return unchecked
		}
		file = flags.Arg(0)
	}
	var err error
	switch {
	case file == "":
		fmt.Fprint(complaints, help)
		return unchecked
	case strings.HasSuffix(strings.ToLower(file), ".zip"):
		err = checkPackage(out, file, *digest)
	default:
		err = checkCertificate(out, file, *keys)
	}
	var cannot *cannotError
	switch {
	case errors.As(err, &cannot):
		fmt.Fprintln(complaints, "verify: it could not be checked:", cannot.cause)
		return unchecked
	case err != nil:
		fmt.Fprintln(complaints, "verify: NOT RIGHT:", strings.TrimPrefix(err.Error(), "invalid: "))
		return wrong
	}
	return right
}

// cannotError is a reason why something was not checked.
type cannotError struct{ cause error }

func (e *cannotError) Error() string { return e.cause.Error() }

func cannot(cause error) error { return &cannotError{cause} }

func checkCertificate(out io.Writer, file, keyFile string) error {
	if keyFile == "" {
		return cannot(errors.New("-key is missing: the file of public keys that GET /keys answers"))
	}
	keyText, err := os.ReadFile(keyFile)
	if err != nil {
		return cannot(err)
	}
	keys, err := certificate.ParseKeys(keyText)
	if err != nil {
		return cannot(errors.New(strings.TrimPrefix(err.Error(), "invalid: ")))
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return cannot(err)
	}
	c, s, err := certificate.Verify(text, keys)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "The certificate is right: signed with the key %s.\n", s.Statement.Key)
	fmt.Fprintf(out, "  by        %s, site %s\n  request   %s (%s, %s), received %s\n", c.Controller, c.Site, c.Request.ID, c.Request.Type, c.Request.Regime, c.Request.Received)
	fmt.Fprintf(out, "  issued    %s, no. %d%s\n  sha-256   %s\n", c.Issued, c.Serial, map[bool]string{true: ", the last one"}[c.Final], s.Statement.SHA256)
	for _, one := range c.Systems {
		fmt.Fprintf(out, "  %-18s %s%s\n", one.System, one.Outcome, map[bool]string{true: ", something is kept"}[len(one.Kept) > 0])
	}
	return nil
}
