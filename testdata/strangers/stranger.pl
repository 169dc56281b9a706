#!/usr/bin/perl
# The three kinds of System V, by IPC::SysV and Perl's own calls. What it takes and prints: stranger.c.
use strict;
use warnings;
use Errno;
use IPC::Msg;
use IPC::Semaphore;
use IPC::SharedMem;
use IPC::SysV qw(IPC_CREAT IPC_EXCL);

my ($kind, $verb, $name, $text) = @ARGV;
my $key = unpack('l', pack('L', hex $name));    # key_t has a sign
my $make = $verb eq 'make';
my $flags = $make ? IPC_CREAT | IPC_EXCL | 0600 : 0;

# $! is an errno and a text in one; %! knows the names.
sub check {
	return $_[0] if $_[0];
	my $name = join ' ', grep { $!{$_} } keys %!;
	print STDERR "$kind $verb: $name\n";
	exit 1;
}

if ($kind eq 'shm') {
	my $shm = check(IPC::SharedMem->new($key, $make ? 4096 : 0, $flags));
	check($shm->remove) if $verb eq 'remove';
	check($shm->attach) if $verb eq 'put' || $verb eq 'take';
	check($shm->write($text . "\0", 0, length($text) + 1)) if $verb eq 'put';
	print unpack('Z*', $shm->read(0, 4096)), "\n" if $verb eq 'take';
} elsif ($kind eq 'sem') {
	my $sem = check(IPC::Semaphore->new($key, $make ? 1 : 0, $flags));
	check($sem->remove) if $verb eq 'remove';
	check($sem->op(0, 1, 0)) if $verb eq 'put';
	if ($verb eq 'take') { check($sem->op(0, -1, 0)); print "took 1\n" }
} elsif ($kind eq 'msg') {
	my $msg = check(IPC::Msg->new($key, $flags));
	check($msg->remove) if $verb eq 'remove';
	check($msg->snd(7, $text)) if $verb eq 'put';
	if ($verb eq 'take') { my $got; check($msg->rcv($got, 64, 0)); print "$got\n" }
} else {
	exit 2;
}
