package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The commands in workflow.yml pass in a repository with this module, and the first
// step fails if a package is not that of its model.
func TestWorkflow(t *testing.T) {
	if !*long {
		t.Skip("runs the checks of a repository")
	}
	temp := t.TempDir()
	repository := filepath.Join(temp, "repository")
	copyModule(t, repository, nil)
	summary := filepath.Join(temp, "summary.md")
	env := append(os.Environ(), "RUNNER_TEMP="+temp, "GITHUB_STEP_SUMMARY="+summary, "BASE=HEAD",
		"GOFLAGS=-benchtime=1x", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	bash := func(script string) ([]byte, error) {
		c := exec.Command("bash", "-e", "-c", script)
		c.Dir, c.Env = repository, env
		return c.CombinedOutput()
	}
	// In a worktree of git, .git is a file, which go mod vendor copies.
	if out, err := bash("go mod vendor && find vendor -name .git -delete && git init --quiet && git add --all && git commit --quiet --message=start"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile("workflow.yml")
	if err != nil {
		t.Fatal(err)
	}
	steps := scripts(string(b))
	if len(steps) != 5 {
		t.Fatalf("%d steps with commands", len(steps))
	}
	for _, script := range steps {
		out, err := bash(script)
		switch {
		case err != nil && strings.Contains(string(out), "govulncheck: fetching vulnerabilities"):
			t.Log("no vuln.go.dev: dependencies are not checked")
		case err != nil:
			t.Errorf("%s%v\n%s", script, err, out)
		}
	}
	if b, err := os.ReadFile(summary); err != nil || !strings.Contains(string(b), "vs base") {
		t.Errorf("the summary has no comparison: %s, %v", b, err)
	}
	out, err := bash("sed -i 's/const InputLen = .*\\|InputLen = .*/InputLen = 1/' network/model.go && git add --all && git commit --quiet --message=edit\n" + steps[0])
	if err == nil || !strings.Contains(string(out), "network/model.go") {
		t.Errorf("an edited package passes: %v\n%s", err, out)
	}
}

// scripts returns the scripts of a workflow: the blocks after "run: |".
func scripts(workflow string) (list []string) {
	indent := -1 // of the key run, during a block
	for line := range strings.Lines(workflow) {
		n := len(line) - len(strings.TrimLeft(line, " "))
		switch {
		case strings.TrimSpace(line) == "run: |":
			indent = n
			list = append(list, "")
		case indent >= 0 && (n > indent || strings.TrimSpace(line) == ""):
			list[len(list)-1] += line
		default:
			indent = -1
		}
	}
	return list
}
