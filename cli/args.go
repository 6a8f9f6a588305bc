package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// flagsFirst moves the flags of a command before its arguments, since the flag
// parser stops at the first argument. What follows "--" stays as it is.
func flagsFirst(app *cli.App, args []string) []string {
	if len(args) < 2 {
		return args
	}
	command := app.Command(args[1])
	if command == nil {
		return args
	}
	var flags, rest []string
	for i := 2; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			rest = append(rest, args[i:]...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			rest = append(rest, arg)
			continue
		}
		flags = append(flags, arg)
		if takesValue(command, arg) && i+1 < len(args) {
			i++
			flags = append(flags, args[i])
		}
	}
	if len(rest) > 0 && !slices.Contains(rest, "--") {
		flags = append(flags, "--")
	}
	return slices.Concat(args[:2], flags, rest)
}

// takesValue tells whether the next argument is the value of this flag.
func takesValue(command *cli.Command, arg string) bool {
	name := strings.TrimLeft(arg, "-")
	if strings.Contains(name, "=") {
		return false
	}
	for _, flag := range command.Flags {
		if slices.Contains(flag.Names(), name) {
			_, isBool := flag.(*cli.BoolFlag)
			return !isBool
		}
	}
	return false
}

// The flag parser's own words, which know neither the two dashes nor what a value should be.
var (
	unknownFlag = regexp.MustCompile(`^flag provided but not defined: -(.+)$`)
	valueless   = regexp.MustCompile(`^flag needs an argument: -(.+)$`)
	wrongValue  = regexp.MustCompile(`^invalid (?:boolean )?value (".*") for (?:flag )?-(\S+): `)
)

// flagProblem says what the flag parser found, and which option was perhaps meant.
func flagProblem(err error, flags []cli.Flag) string {
	if found := unknownFlag.FindStringSubmatch(err.Error()); found != nil {
		text := fmt.Sprintf("there is no option --%s", found[1])
		if near := cli.SuggestFlag(flags, found[1], false); near != "" {
			text += ", the nearest is " + near
		}
		return text
	}
	if found := valueless.FindStringSubmatch(err.Error()); found != nil {
		return fmt.Sprintf("--%s: found no value", found[1])
	}
	if found := wrongValue.FindStringSubmatch(err.Error()); found != nil {
		return fmt.Sprintf("--%s: found %s, want %s", found[2], found[1], valueOfKind(found[2], flags))
	}
	return err.Error()
}

// valueOfKind says what an option takes.
func valueOfKind(name string, flags []cli.Flag) string {
	at := slices.IndexFunc(flags, func(flag cli.Flag) bool { return slices.Contains(flag.Names(), name) })
	if at < 0 {
		return "another value"
	}
	switch flags[at].(type) {
	case *cli.BoolFlag:
		return "true or false"
	case *cli.IntFlag:
		return "a whole number"
	case *cli.Uint64Flag:
		return "a whole number of at least 0"
	}
	return "a number"
}

// needsNoQuotes are arguments that a shell takes as they stand.
var needsNoQuotes = regexp.MustCompile(`^[\w@%+=:,./-]+$`)

// shellLine writes arguments as they are typed into a shell.
func shellLine(args []string) string {
	quoted := make([]string, len(args))
	for i, arg := range args {
		if quoted[i] = arg; !needsNoQuotes.MatchString(arg) {
			quoted[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}
